"""What every masker has in common."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrain.maskers.blockwise import BlockwiseMasker
from pretrain.maskers.lattice import GridMasker
from pretrain.maskers.random_patch import RandomPatchMasker
from pretrain.maskers.square import CentralMasker, SquareMasker

MAKERS = {
    'random': lambda size, patch, unit: RandomPatchMasker(size, patch, unit, 0.5),
    'blockwise': lambda size, patch, unit: BlockwiseMasker(size, patch, unit, 0.5, min_block=2),
    'blockwise up to': lambda size, patch, unit: BlockwiseMasker(
        size, patch, unit, count=5, min_block=2, exact=False
    ),
    'square': lambda size, patch, unit: SquareMasker(size, patch, unit, 0.25),
    'central': lambda size, patch, unit: CentralMasker(size, patch, unit, 0.25),
    'grid': lambda size, patch, unit: GridMasker(size, patch, unit, shift=True),
}


@pytest.mark.parametrize('make', MAKERS.values(), ids=MAKERS)
@settings(max_examples=15, deadline=None)
@given(
    rows=st.sampled_from([4, 6, 8]), columns=st.sampled_from([4, 6]), unit=st.integers(1, 3),
    patch=st.sampled_from([4, 16]), seed=st.integers(0),
)  # fmt: skip
def test_shape_whole_units_and_one_seed_one_mask(make, rows, columns, unit, patch, seed) -> None:
    size = (rows * unit * patch, columns * unit * patch)
    masker = make(size, patch, unit * patch)
    assert masker.grid == (rows * unit, columns * unit)
    masks = masker.batch(3, np.random.default_rng(seed))
    one = masker(np.random.default_rng(seed))
    assert masks.dtype == one.dtype == bool
    assert masks.shape == (3, *masker.grid)
    units = masks.reshape(3, rows, unit, columns, unit)
    assert (units.all((2, 4)) == units.any((2, 4))).all()
    assert 0 < masks[0].mean() < 1
    assert (masks == masker.batch(3, np.random.default_rng(seed))).all()
    assert (one == masker(np.random.default_rng(seed))).all()


@pytest.mark.parametrize('make', MAKERS.values(), ids=MAKERS)
def test_one_by_one_and_batch_have_one_distribution(make) -> None:
    """Cell frequencies of 1500 masks each differ by less than five standard errors."""
    masker, rng = make(48, 8, 8), np.random.default_rng(0)
    batch = masker.batch(1500, rng).mean(0)
    single = np.mean([masker(rng) for _ in range(1500)], axis=0)
    assert abs(batch - single).max() < 5 * (2 * 0.25 / 1500) ** 0.5
