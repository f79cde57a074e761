import numpy as np
import pytest

from pretrain.inspect.masks import block_means, mask_statistics, statistics_text
from pretrain.maskers.square import CentralMasker


class Listed:
    """A masker whose masks are written down."""

    def __init__(self, masks: list) -> None:
        self.masks = np.array(masks, dtype=bool)

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
