"""Masks of SimMIM's and BEiT's published generators: statistics, and the very masks of a seed.

Sizes and options are read from the names of the entries.
"""

import random
import re
import warnings
from functools import lru_cache
from math import comb
from typing import Any

import numpy as np
import pytest

from pretrain.inspect.masks import avg_dist
from pretrain.maskers.blockwise import BlockwiseMasker
from pretrain.maskers.random_patch import RandomPatchMasker
from pretrain.maskers.units import UnitMasker

SAMPLES = 4000
AVG_DIST_SAMPLES = 100  # as many as the file's
SEEDS = 20_000
NUMBER = r'(\d+)'
RANDOM = re.compile(rf'size{NUMBER}_mp{NUMBER}_pp{NUMBER}_r([\d.]+)')
BLOCKS = re.compile(rf'beit_block_{NUMBER}x{NUMBER}_n{NUMBER}_min{NUMBER}(?:_max{NUMBER})?')


def masker_of(key: str, patch_px: int = 1) -> UnitMasker:
    if match := RANDOM.fullmatch(key):
        size, unit, patch = (int(text) for text in match.groups()[:3])
        return RandomPatchMasker(size, patch, unit, float(match[4]))
    match = BLOCKS.fullmatch(key)
    assert match, f'{key}: neither size*_mp*_pp*_r* nor beit_block_*x*_n*_min*'
    rows, columns, count, smallest = (int(text) for text in match.groups()[:4])
    return BlockwiseMasker(
        (rows * patch_px, columns * patch_px), patch_px,
        count=count, min_block=smallest, max_block=match[5] and int(match[5]), exact=False,
    )  # fmt: skip


def close_shares(ours: np.ndarray, theirs: np.ndarray, n: int, their_n: int) -> None:
    """Two estimates of the same probabilities: five standard errors and two single cases."""
    pooled = (ours * n + theirs * their_n) / (n + their_n)
    error = np.sqrt(pooled * (1 - pooled) * (1 / n + 1 / their_n))
    assert (abs(ours - theirs) <= 5 * error + 2 / min(n, their_n)).all()


def same_distance(expected, masks, patch) -> None:
    distance = avg_dist(masks[:AVG_DIST_SAMPLES], patch)
    error = distance.std() * (2 / len(distance)) ** 0.5
    assert abs(distance.mean() - expected['avgdist_px_mean_100']) < 5 * error


def same_histogram(expected, masks, patch) -> None:
    theirs = np.zeros(masks[0].size + 1)
    for count, cases in expected['masked_hist'].items():
        theirs[int(count)] = cases / expected['samples']
    counts = np.bincount(masks.sum((1, 2)), minlength=len(theirs)) / len(masks)
    close_shares(counts, theirs, len(masks), expected['samples'])


def same_mean(expected, masks, patch) -> None:
    counts = masks.sum((1, 2))
    error = counts.std() * (1 / len(masks) + 1 / expected['samples']) ** 0.5
    assert abs(counts.mean() - expected['masked_mean']) <= 5 * error


def same_frequency(expected, masks, patch) -> None:
    close_shares(
        masks.mean(0), np.array(expected['per_token_freq']), len(masks), expected['samples']
    )


def same_shape(expected, masks, patch) -> None:
    assert list(masks.shape[1:]) == expected['mask_shape']


def same_tokens(expected, masks, patch) -> None:
    assert set(masks.sum((1, 2)).tolist()) == set(expected['masked_tokens'])


def same_ratio(expected, masks, patch) -> None:
    ratio = expected['realised_ratio']
    assert masks.mean() == pytest.approx(ratio)
    spread = 5 * (ratio * (1 - ratio)) ** 0.5
    assert abs(masks.mean(0) - ratio).max() < spread / len(masks) ** 0.5


def same_extremes(expected, masks, patch) -> None:
    ratio, samples = expected['realised_ratio'], expected['samples']
    extremes = np.array([expected['per_token_freq_min'], expected['per_token_freq_max']])
    assert abs(extremes - ratio).max() < 5 * (ratio * (1 - ratio) / samples) ** 0.5


OF_ALL = {'avgdist_px_mean_100': same_distance}
OF_BLOCKS = {
    'masked_mean': same_mean, 'masked_hist': same_histogram, 'per_token_freq': same_frequency
}  # fmt: skip
OF_RANDOM = {
    'mask_shape': same_shape, 'masked_tokens': same_tokens, 'realised_ratio': same_ratio,
    'per_token_freq_min': same_extremes,
}  # fmt: skip
CHECKS = {**OF_ALL, **OF_BLOCKS, **OF_RANDOM}


def checks(content: dict[str, dict[str, Any]]) -> list[str]:
    """The generator's entry and what is compared of it."""
    kinds = {key: OF_RANDOM if RANDOM.fullmatch(key) else OF_BLOCKS for key in content}
    return [f'{key} {name}' for key, kind in kinds.items() for name in {**OF_ALL, **kind}]


@lru_cache(maxsize=2)
def masks_of(key: str, patch_px: int, samples: int) -> np.ndarray:
    return masker_of(key, patch_px).batch(samples, np.random.default_rng(0))


@pytest.mark.golden('mask_generator_stats', each=checks)
def test_statistics(golden, field) -> None:
    key, name = field.split(' ')
    expected = golden[key]
    if expected[name] is None:
        pytest.skip(f'{field} is empty')
    masks = masks_of(key, expected.get('patch_px', 1), min(SAMPLES, expected['samples']))
    patch = expected.get('patch_px') or int(RANDOM.fullmatch(key)[3])
    CHECKS[name](expected, masks, patch)


class PythonDraws:
    """Python's generator, called as BEiT's script calls it."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)

    def random(self, size: int) -> np.ndarray:
        return np.array([self.rng.random() for _ in range(size)])

    def integers(self, low: int, high: np.ndarray, *, endpoint: bool) -> np.ndarray:
        assert endpoint
        return np.array([self.rng.randint(low, int(h)) for h in high], dtype=int)


def first_mask(key: str, seed: int) -> np.ndarray:
    """The first mask that the published script draws from a seed, by our code."""
    if RANDOM.fullmatch(key):
        return masker_of(key)(np.random.RandomState(seed))
    return masker_of(key)(PythonDraws(seed))


def seed_of(masks: dict[str, np.ndarray]) -> int | None:
    """The smallest seed that makes the mask which chance would hardly repeat, if any is small."""
    keys = [key for key in masks if RANDOM.fullmatch(key)] or list(masks)

    def possible(key: str) -> int:
        masker = masker_of(key)
        return comb(masker.units[0] * masker.units[1], int(masks[key].sum()) // masker.unit**2)

    key = max(keys, key=possible)
    fitting = (seed for seed in range(SEEDS) if (first_mask(key, seed) == masks[key]).all())
    return next(fitting, None)


@pytest.mark.golden('mask_generator_first')
def test_first_masks(golden: dict[str, Any]) -> None:
    """Whole units and right counts; and if a small seed made them, exactly the same masks.

    The file does not say its seed, so seeds are tried until one gives the first mask.
    """
    masks = {key: np.asarray(mask).astype(bool) for key, mask in golden.items()}
    for key, mask in masks.items():
        masker = masker_of(key)
        assert mask.shape == masker.grid
        rows, columns = masker.units
        units = mask.reshape(rows, masker.unit, columns, masker.unit)
        assert (units.all((1, 3)) == units.any((1, 3))).all(), key
        if isinstance(masker, BlockwiseMasker):
            assert 0 < mask.sum() <= masker.count
        else:
            assert mask.sum() == masker(np.random.default_rng(0)).sum()
    seed = seed_of(masks)
    if seed is None:
        warnings.warn(f'no seed below {SEEDS} made these masks: only counts compared', stacklevel=1)
        return
    for key, mask in masks.items():
        assert (first_mask(key, seed) == mask).all(), f'{key}, seed {seed}'
