import time
from math import ceil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain.maskers.random_patch import (
    RandomPatchMasker,
    random_patch_mask,
    random_patch_masks,
    random_subsets,
)


@given(
    st.integers(1, 8), st.integers(1, 8), st.integers(1, 4), st.floats(0.05, 0.95), st.integers(0)
)
def test_whole_units_and_the_exact_count(rows, columns, unit, ratio, seed) -> None:
    grid = (rows * unit, columns * unit)
    one = random_patch_mask(grid, unit, ratio, np.random.default_rng(seed))
    many = random_patch_masks(3, grid, unit, ratio, np.random.default_rng(seed))
    for mask in (one, *many):
        units = mask.reshape(rows, unit, columns, unit)
        assert (units.all((1, 3)) == units.any((1, 3))).all()
        assert units.any((1, 3)).sum() == ceil(rows * columns * ratio)


def test_published_counts() -> None:
    # simmim.md 2.1: 192 px, unit 32, patch 4, ratio 0.6 hides 22 of 36 squares, 1408 tokens.
    mask = RandomPatchMasker(192, 4, 32, 0.6)(np.random.default_rng(0))
    assert mask.shape == (48, 48)
    assert mask.sum() == 1408
    assert RandomPatchMasker(224, 16, 32, 0.6)(np.random.default_rng(0)).sum() == 120


def test_every_subset_is_equally_likely() -> None:
    """By hand: of 4 cells there are 6 pairs; 6000 draws hit each 1000 times, deviation 28.9."""
    subsets = random_subsets(6000, 4, 2, np.random.default_rng(0))
    _, counts = np.unique(subsets @ [1, 2, 4, 8], return_counts=True)
    assert len(counts) == 6
    assert abs(counts - 1000).max() < 5 * 28.9
    rng = np.random.default_rng(0)
    one_by_one = sum(random_patch_mask((4, 4), 1, 0.5, rng).astype(int) for _ in range(4000))
    assert abs(one_by_one / 4000 - 0.5).max() < 0.04  # five standard errors


class TiedKeys:
    """A generator whose first keys are all equal."""

    def __init__(self) -> None:
        self.rng, self.calls = np.random.default_rng(0), 0

    def integers(self, *args, **options) -> np.ndarray:
        self.calls += 1
        keys = self.rng.integers(*args, **options)
        return keys if self.calls > 1 else np.zeros_like(keys)


def test_tied_keys_are_drawn_again() -> None:
    rng = TiedKeys()
    assert (random_subsets(5, 9, 4, rng).sum(1) == 4).all()
    assert rng.calls == 2


def test_a_large_batch_in_several_parts() -> None:
    masks = random_patch_masks(150, (48, 48), 1, 0.6, np.random.default_rng(0))
    assert masks.shape == (150, 48, 48)
    assert (masks.sum((1, 2)) == 1383).all()
    assert len(np.unique(masks.reshape(150, -1), axis=0)) == 150
    assert random_patch_masks(0, (4, 4), 2, 0.5, np.random.default_rng(0)).shape == (0, 4, 4)


@pytest.mark.parametrize(
    ('sizes', 'message'),
    [
        ((100, 8, 32), 'divide'),
        ((96, 12, 32), 'divide'),
        (((96, 100), 8, 32), 'divide'),
        ((96, 0, 32), 'positive'),
        ((96, 8, 32, 1.0), 'ratio'),
        ((96, 8, 32, 0.0), 'ratio'),
        ((64, 8, 32, 0.8), 'ratio 0.8 of 4 units hides all'),
        ((64, 8, 64, 0.1), 'ratio 0.1 of 1 units hides all'),
    ],
)
def test_bad_sizes_and_ratios(sizes, message) -> None:
    with pytest.raises(ValueError, match=message):
        RandomPatchMasker(*sizes)


@pytest.mark.parametrize('sizes', [(224, 16, 32), (192, 4, 32), (192, 4, 4)])
def test_256_masks_take_less_than_5_ms(sizes) -> None:
    """Of processor time, the best of ten: what else the machine does is not counted."""
    masker, rng, times = RandomPatchMasker(*sizes), np.random.default_rng(0), []
    for _ in range(10):
        start = time.thread_time()
        masker.batch(256, rng)
        times.append(time.thread_time() - start)
    assert min(times) < 5e-3
