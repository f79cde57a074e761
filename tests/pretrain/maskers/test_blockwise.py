from math import inf, nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrain.maskers.blockwise import BlockwiseMasker, blockwise_masks, with_single_cells


class Scripted:
    """Draws written down by hand."""

    def __init__(self, uniform: list[float], corners: list[int]) -> None:
        self.uniform, self.corners = iter(uniform), iter(corners)

    def random(self, size) -> np.ndarray:
        return np.array([next(self.uniform) for _ in range(size)])

    def integers(self, low, high, *, endpoint) -> np.ndarray:
        assert endpoint
        return np.array([min(next(self.corners), h) for h in high])


def test_by_hand() -> None:
    """6 x 6, 8 cells, blocks of 4 cells or more, aspects 1/4 to 4.

    1st try: area 4 + 0.5 * (8 - 4) = 6, aspect 4^0 = 1: 2.45 rounds to 2 x 2, at (1, 1).
    2nd try: 4 missing, area 4, aspect 4: 4 high, 1 wide, at (0, 2): hides (0, 2), (3, 2); the
    other two are hidden already. 3rd try: area 4 + 0.5 * (2 - 4) = 3, aspect 1: 2 x 2, at
    (2, 1): would hide (3, 1) only, and does. 4th: 1 missing, area 4 + 1 * (1 - 4) = 1 at (5, 5).
    """
    rng = Scripted([0.5, 0.5, 0, 1, 0.5, 0.5, 1, 0.5], [1, 1, 0, 2, 2, 1, 5, 5])
    (mask,) = blockwise_masks(1, (6, 6), 8, rng, min_block=4, min_aspect=0.25)
    expected = {(1, 1), (1, 2), (2, 1), (2, 2), (0, 2), (3, 2), (3, 1), (5, 5)}
    assert set(zip(*(axis.tolist() for axis in mask.nonzero()))) == expected


def test_ten_tries_then_it_stops_short_or_hides_single_cells() -> None:
    """A rectangle as high as the grid never fits: area 16 of a 4 x 4 grid."""
    none = blockwise_masks(
        3, (4, 4), 15, Scripted([0.9, 0.5] * 30, []), min_block=16, max_block=16, exact=False
    )
    assert not none.any()
    exact = blockwise_masks(3, (4, 4), 15, np.random.default_rng(0), min_block=16, max_block=16)
    assert (exact.sum((1, 2)) == 15).all()


@settings(max_examples=50, deadline=None)
@given(
    st.integers(2, 12), st.integers(2, 12), st.floats(0.05, 0.95), st.integers(1, 20),
    st.floats(0.2, 1), st.integers(0),
)  # fmt: skip
def test_counts(rows, columns, ratio, min_block, min_aspect, seed) -> None:
    count = max(1, int(rows * columns * ratio))
    both = [
        blockwise_masks(
            4, (rows, columns), count, np.random.default_rng(seed), min_block,
            min_aspect=min_aspect, exact=exact,
        )
        for exact in (True, False)
    ]  # fmt: skip
    assert (both[0].sum((1, 2)) == count).all()
    assert (both[1].sum((1, 2)) <= count).all()
    assert (both[0] >= both[1]).all()  # exact completion only adds


def test_single_cells_are_uniform_over_the_visible() -> None:
    """By hand: 1 of the 3 visible cells of a row, 3000 times: 1000 each, deviation 25.8."""
    start = np.repeat(np.array([[[True, False, False, False]]]), 3000, axis=0)
    full = with_single_cells(start, np.ones(3000, dtype=int), np.random.default_rng(0))
    assert full[:, 0, 0].all()
    assert abs(full.sum((0, 1))[1:] - 1000).max() < 5 * 25.8


def test_sizes_in_pixels() -> None:
    masker = BlockwiseMasker(192, 4, 32, count=22, min_block=2)
    masks = masker.batch(5, np.random.default_rng(0))
    assert masks.shape == (5, 48, 48)
    units = masks.reshape(5, 6, 8, 6, 8)
    assert (units.all((2, 4)) == units.any((2, 4))).all()
    assert (masks.sum((1, 2)) == 22 * 64).all()
    assert BlockwiseMasker(224, 16, ratio=0.4).count == 79  # ceil(78.4)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({}, 'either ratio or count'),
        ({'ratio': 0.4, 'count': 75}, 'either ratio or count'),
        ({'ratio': 1.2}, 'not between 0 and 1'),
        ({'count': 196}, 'give 1 to 195'),
        ({'count': 0}, 'give 1 to 195'),
        ({'count': 75, 'min_block': 20, 'max_block': 10}, 'areas from 20 to 10'),
        ({'count': 75, 'min_block': 0}, 'areas from 0'),
        ({'count': 75, 'min_aspect': 0}, 'aspects from 0'),
        ({'count': 75, 'min_aspect': 2, 'max_aspect': 1}, 'aspects from 2 to 1'),
        ({'count': 75, 'max_aspect': nan}, 'aspects from 0.3 to nan'),
        ({'count': 75, 'max_aspect': inf}, 'aspects from 0.3 to inf'),
        ({'count': 75, 'min_aspect': nan}, 'aspects from nan'),
        ({'count': 75, 'min_aspect': 1e-300}, 'aspects from 1e-300'),
    ],
)
def test_bad_options(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        BlockwiseMasker(224, 16, **options)
