import numpy as np
import pytest

from pretrain.inspect.masks import avg_dist, block_means, mask_statistics, statistics_text
from pretrain.maskers.random_patch import RandomPatchMasker
from pretrain.maskers.square import CentralMasker


class Listed:
    """A masker whose masks are written down."""

    def __init__(self, masks: list) -> None:
        self.masks = np.array(masks, dtype=bool)
        self.grid = self.masks.shape[1:]

    def batch(self, n: int, rng: np.random.Generator) -> np.ndarray:
        return self.masks[:n]


def test_by_hand() -> None:
    """Two masks of 1 x 2 patches of 2 px: distances 2 and 1 in the first, none in the second."""
    masker = Listed([[[1, 0]], [[1, 1]]])
    found = mask_statistics(masker, 2, 2, 2, np.random.default_rng(0))
    assert (found.hidden_mean, found.hidden_min, found.hidden_max) == (1.5, 1, 2)
    assert found.ratio == 0.75
    assert found.frequency == [[1.0, 0.5]]
    assert (found.avg_dist_px, found.avg_dist_samples) == (1.5, 1)
    text = statistics_text(found)
    assert '1.50 (from 1 to 2) of 2 patches' in text
    assert text.endswith('\n100  50')


def test_no_distance_where_nothing_is_visible() -> None:
    found = mask_statistics(Listed([[[1, 1]]]), 2, 1, 1, np.random.default_rng(0))
    assert found.avg_dist_px is None
    assert 'AvgDist    undefined' in statistics_text(found)


def test_block_means() -> None:
    values = np.arange(15.0).reshape(3, 5)
    expected = [[3, 5, 6.5], [10.5, 12.5, 14]]
    assert block_means(values, 2) == pytest.approx(np.array(expected))
    assert (block_means(values, 1) == values).all()


def test_units_are_one_cell_of_the_table_and_large_grids_are_pooled() -> None:
    masker = CentralMasker(192, 4, 32, side_px=64)
    found = mask_statistics(masker, 4, 3, 1, np.random.default_rng(0))
    table = statistics_text(found, masker.unit).splitlines()[4:]
    assert [row.split() for row in table[1:4]] == [
        ['0', '0', '0', '0', '0', '0'],
        ['0', '0', '100', '100', '0', '0'],
        ['0', '0', '100', '100', '0', '0'],
    ]
    assert len(statistics_text(found, 1).splitlines()[4:]) == 16


def test_avg_dist_by_hand() -> None:
    """One hidden pixel: 1. A row of three hidden pixels before a visible one: (1 + 2 + 3) / 3.

    Hidden corner of 3 x 3 pixels, visible elsewhere in 2 x 2 patches: by pixel 3 2 1 distances
    down and right, min of both ways: 3 2 1 / 2 2 1 / 1 1 1, mean 14 / 9.
    """
    assert avg_dist(np.array([[True, False]]), 1) == 1
    assert avg_dist(np.array([[True, True, True, False]]), 1) == 2
    assert avg_dist(np.array([[True, False], [False, False]]), 3) == pytest.approx(14 / 9)
    # One visible corner of 2 x 2: distances 1, 1 and the diagonal.
    assert avg_dist(np.array([[False, True], [True, True]]), 1) == pytest.approx((2 + 2**0.5) / 3)


def test_against_all_distances() -> None:
    mask = np.random.default_rng(0).random((5, 7)) < 0.8
    pixels = mask.repeat(2, 0).repeat(2, 1)
    hidden, seen = np.argwhere(pixels), np.argwhere(~pixels)
    nearest = np.sqrt(((hidden[:, None] - seen[None]) ** 2).sum(-1)).min(1)
    assert avg_dist(mask, 2) == pytest.approx(nearest.mean())


def test_a_batch_is_its_masks() -> None:
    masks = RandomPatchMasker(64, 8, 16, 0.5).batch(6, np.random.default_rng(0))
    both = avg_dist(masks.reshape(2, 3, 8, 8), 8)
    assert both.shape == (2, 3)
    assert both[1, 2] == avg_dist(masks[5], 8)


@pytest.mark.parametrize('fill', [True, False])
def test_nothing_or_everything_hidden(fill) -> None:
    with pytest.raises(ValueError, match='both hidden and visible'):
        avg_dist(np.full((2, 2), fill), 4)
