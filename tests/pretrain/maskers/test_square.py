import numpy as np
import pytest

from pretrain.maskers.square import CentralMasker, SquareMasker, central_mask, square_masks


def test_every_place_is_equally_likely() -> None:
    """By hand: a 2 x 2 square has 6 places on 3 x 4; 6000 draws hit each 1000 times, 28.9 off."""
    masks = square_masks(6000, (3, 4), 2, np.random.default_rng(0))
    assert (masks.sum((1, 2)) == 4).all()
    places, counts = np.unique(masks.reshape(6000, -1).argmax(1), return_counts=True)
    assert places.tolist() == [0, 1, 2, 4, 5, 6]
    assert abs(counts - 1000).max() < 5 * 28.9


def test_centre_by_hand() -> None:
    assert central_mask((4, 4), 2).astype(int).tolist() == [
        [0, 0, 0, 0],
        [0, 1, 1, 0],
        [0, 1, 1, 0],
        [0, 0, 0, 0],
    ]
    assert central_mask((2, 3), 1).nonzero()[0].tolist() == [0]


@pytest.mark.parametrize('masker', [SquareMasker, CentralMasker])
def test_ratio_or_side(masker) -> None:
    """192 px in units of 32: 0.11, 0.25 and 0.44 of the image are squares of 64, 96 and 128 px."""
    rng = np.random.default_rng(0)
    for ratio, side_px in ((0.11, 64), (0.25, 96), (0.44, 128)):
        by_ratio = masker(192, 4, 32, ratio=ratio).batch(3, rng)
        by_side = masker(192, 4, 32, side_px=side_px).batch(3, rng)
        assert by_ratio.shape == by_side.shape == (3, 48, 48)
        assert (by_ratio.sum((1, 2)) == (side_px // 4) ** 2).all()
        assert (by_side.sum((1, 2)) == (side_px // 4) ** 2).all()


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({}, 'either ratio or side_px'),
        ({'ratio': 0.2, 'side_px': 64}, 'either ratio or side_px'),
        ({'ratio': 0.99}, 'something left to see'),
        ({'side_px': 224}, 'does not fit'),
        ({'side_px': 0}, 'does not fit'),
        ({'side_px': 40}, 'no multiple'),
        ({'ratio': -1}, 'not between 0 and 1'),
    ],
)
def test_bad_options(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        SquareMasker(192, 4, 32, **options)
