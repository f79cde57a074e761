import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain.maskers.random_patch import RandomPatchMasker, random_patch_mask


@given(
    st.integers(1, 8), st.integers(1, 8), st.integers(1, 4), st.floats(0.05, 0.95), st.integers(0)
)
def test_whole_units_and_the_exact_count(rows, columns, unit, ratio, seed) -> None:
    mask = random_patch_mask(
        (rows * unit, columns * unit), unit, ratio, np.random.default_rng(seed)
    )
    units = mask.reshape(rows, unit, columns, unit)
    assert (units.all((1, 3)) == units.any((1, 3))).all()
    assert units.any((1, 3)).sum() == int(np.ceil(rows * columns * ratio))


def test_published_counts() -> None:
    # simmim.md 2.1: 192 px, unit 32, patch 4, ratio 0.6 hides 22 of 36 squares, 1408 tokens.
    mask = RandomPatchMasker(192, 4, 32, 0.6)(np.random.default_rng(0))
    assert mask.shape == (48, 48)
    assert mask.sum() == 1408
    assert RandomPatchMasker(224, 16, 32, 0.6)(np.random.default_rng(0)).sum() == 120


def test_every_square_is_equally_likely() -> None:
    rng = np.random.default_rng(0)
    counts = sum(random_patch_mask((4, 4), 1, 0.5, rng).astype(int) for _ in range(4000))
    assert abs(counts / 4000 - 0.5).max() < 0.04  # five standard errors


@pytest.mark.parametrize('sizes', [(100, 8, 32), (96, 12, 32)])
def test_sizes_must_divide(sizes) -> None:
    with pytest.raises(ValueError, match='divide'):
        RandomPatchMasker(*sizes)
    with pytest.raises(ValueError, match='ratio'):
        RandomPatchMasker(96, 8, 32, ratio=1.0)
