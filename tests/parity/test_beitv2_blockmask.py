"""Block-wise masks of BEiT (v1) and BEiT v2, against statistics of the published generators."""

from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import label

from pretrain.maskers.blockwise import blockwise_masks

SAMPLES = 5000


OPTIONS = ('min_num_patches', 'max_num_patches', 'min_aspect', 'max_aspect')


def drawn(case: dict[str, Any], exact: bool) -> np.ndarray:
    options = (case[name] for name in OPTIONS)
    return masks_of(case['grid'], case['num_masking_patches'], *options, exact)


@lru_cache(maxsize=4)
def masks_of(grid: int, count: int, *options: Any) -> np.ndarray:
    return blockwise_masks(SAMPLES, (grid, grid), count, np.random.default_rng(0), *options)


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


def same_count(case, masks, before) -> None:
    close_means(masks.sum((1, 2)), case['mean_count'], masks.sum((1, 2)).std(), case['num_samples'])


def same_histogram(case, masks, before, field='count_histogram') -> None:
    n, counts = case['num_samples'], masks.sum((1, 2))
    histogram = case[field].numpy() / n
    close_shares(shares(counts, len(histogram)), histogram, n)


def same_shortage(case, masks, before) -> None:
    short = np.array((before.sum((1, 2)) < case['num_masking_patches']).mean())
    close_shares(short, np.array(case['fraction_topped_up']), case['num_samples'])


def same_neighbours(case, masks, before) -> None:
    pairs, std = adjacent_pairs(masks), case['std_adjacent_masked_pairs']
    close_means(pairs, case['mean_adjacent_masked_pairs'], std, case['num_samples'])
    assert pairs.std() == pytest.approx(std, rel=0.1)


def same_parts(case, masks, before) -> None:
    parts = np.array([label(mask)[1] for mask in masks])
    std = case['std_connected_components']
    close_means(parts, case['mean_connected_components'], std, case['num_samples'])


def same_cells(case, masks, before) -> None:
    close_shares(masks.mean(0), case['cell_frequency'].numpy(), case['num_samples'])


CHECKS = {
    'mean_count': same_count,
    'count_histogram': same_histogram,
    'count_before_completion_histogram': lambda case, masks, before: same_histogram(
        case, before, before, 'count_before_completion_histogram'
    ),
    'cell_frequency': same_cells,
    'fraction_topped_up': same_shortage,
    'mean_adjacent_masked_pairs': same_neighbours,
    'mean_connected_components': same_parts,
}


def checks(content: dict[str, Any]) -> list[str]:
    return [f'{key}.{name}' for key in content if isinstance(content[key], dict) for name in CHECKS]


def examples(content: dict[str, Any]) -> list[str]:
    return [key for key in content if key.startswith('example_masks')]


@pytest.mark.golden('beitv2_blockmask', each=checks)
def test_statistics(golden, field) -> None:
    key, _, name = field.partition('.')
    case = golden[key]
    case[name]  # absent: skipped
    CHECKS[name](case, drawn(case, key.startswith('v2')), drawn(case, False))


@pytest.mark.golden('beitv2_blockmask', each=examples)
def test_examples_look_alike(golden, field) -> None:
    """The 8 examples have the count of ours, and as many adjacent pairs within five deviations."""
    masks, count = golden[field], int(field.rpartition('_')[2])
    assert (masks.sum((1, 2)) == count).all()
    pairs = adjacent_pairs(masks.numpy().astype(bool))
    ours = adjacent_pairs(blockwise_masks(500, masks.shape[1:], count, np.random.default_rng(0)))
    assert abs(pairs.mean() - ours.mean()) < 5 * ours.std() * (1 / len(pairs)) ** 0.5
