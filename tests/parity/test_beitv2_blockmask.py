"""Block-wise masks of BEiT (v1) and BEiT v2, against statistics of the published generators."""

from typing import Any

import numpy as np
import pytest
from scipy.ndimage import label

from pretrain.maskers.blockwise import blockwise_masks

SAMPLES = 5000


def drawn(case: dict[str, Any], exact: bool) -> np.ndarray:
    return blockwise_masks(
        SAMPLES, (case['grid'], case['grid']), case['num_masking_patches'],
        np.random.default_rng(0), case['min_num_patches'], case['max_num_patches'],
        case['min_aspect'], case['max_aspect'], exact,
    )  # fmt: skip


def close_means(ours: np.ndarray, mean: float, std: float, n: int) -> None:
    """Within five standard errors of the difference of two means."""
    assert abs(ours.mean() - mean) <= 5 * std * (1 / len(ours) + 1 / n) ** 0.5 + 1e-9


def close_shares(ours: np.ndarray, theirs: np.ndarray, n: int) -> None:
    """Two estimates of the same probabilities: five standard errors and two single cases."""
    pooled = (ours * SAMPLES + theirs * n) / (SAMPLES + n)
    error = np.sqrt(pooled * (1 - pooled) * (1 / SAMPLES + 1 / n))
    assert (abs(ours - theirs) <= 5 * error + 2 / min(SAMPLES, n)).all()


def shares(counts: np.ndarray, length: int) -> np.ndarray:
    return np.bincount(counts, minlength=length) / len(counts)


def adjacent_pairs(masks: np.ndarray) -> np.ndarray:
    """Hidden neighbours below and to the right, counted per mask."""
    down, right = masks[:, 1:] & masks[:, :-1], masks[:, :, 1:] & masks[:, :, :-1]
    return down.sum((1, 2)) + right.sum((1, 2))


@pytest.mark.golden('beitv2_blockmask')
def test_statistics(golden: dict[str, Any]) -> None:
    cases = {key: case for key, case in golden.items() if isinstance(case, dict)}
    for key, case in cases.items():
        exact, n = key.startswith('v2'), case['num_samples']
        masks, before = drawn(case, exact), drawn(case, exact=False)
        counts = masks.sum((1, 2))
        histogram = case['count_histogram'].numpy() / n
        length = len(histogram)
        close_shares(shares(counts, length), histogram, n)
        close_means(counts, case['mean_count'], counts.std(), n)
        unfinished = case['count_before_completion_histogram'].numpy() / n
        close_shares(shares(before.sum((1, 2)), length), unfinished, n)
        close_shares(masks.mean(0), case['cell_frequency'].numpy(), n)
        short = np.array((before.sum((1, 2)) < case['num_masking_patches']).mean())
        close_shares(short, np.array(case['fraction_topped_up']), n)
        pairs = adjacent_pairs(masks)
        close_means(pairs, case['mean_adjacent_masked_pairs'], case['std_adjacent_masked_pairs'], n)
        assert pairs.std() == pytest.approx(case['std_adjacent_masked_pairs'], rel=0.1)
        parts = np.array([label(mask)[1] for mask in masks])
        close_means(parts, case['mean_connected_components'], case['std_connected_components'], n)


@pytest.mark.golden('beitv2_blockmask')
def test_examples_look_alike(golden: dict[str, Any]) -> None:
    """The 8 examples have the count of ours, and as many adjacent pairs within five deviations."""
    for key, masks in golden.items():
        if not key.startswith('example_masks'):
            continue
        count = int(key.rpartition('_')[2])
        assert (masks.sum((1, 2)) == count).all()
        pairs = adjacent_pairs(masks.numpy().astype(bool))
        ours = adjacent_pairs(
            blockwise_masks(500, masks.shape[1:], count, np.random.default_rng(0))
        )
        assert abs(pairs.mean() - ours.mean()) < 5 * ours.std() * (1 / len(pairs)) ** 0.5
