import numpy as np
import pytest

from pretrain.inspect.avg_dist import avg_dist
from pretrain.maskers.random_patch import RandomPatchMasker


def test_by_hand() -> None:
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
