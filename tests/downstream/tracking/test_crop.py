import numpy as np
import pytest

from downstream.tracking.crop import CropWindow, cut, padding_mask, window_around
from mim_backbones.errors import UserError


def test_window_by_hand():
    # sqrt(16 * 4) * 2 = 16; centre (18, 12) -> left 10, top 4
    assert window_around(np.array([10, 10, 16, 4]), 2) == CropWindow(10, 4, 16, (18.0, 12.0))
    # the corner 0.5, 1.5 rounds to even: 0, 2
    window = window_around(np.array([0.5, 1.5, 4, 4]), 1)
    assert (window.left, window.top) == (0, 2)


def test_cut_pads_with_black_and_keeps_the_last_column():
    image = np.full((8, 8, 3), 255, np.uint8)
    window = CropWindow(left=4, top=-2, side=8, centre=(8.0, 2.0))
    crop = cut(image, window, 8)
    assert crop[:2].max() == 0
    assert crop[2:, :4].min() == 255
    assert crop[:, 4:].max() == 0
    # published: the image's last column is lost
    assert cut(image, window, 8, published=True)[2:, 3].max() == 0
    assert padding_mask(window, (8, 8), 8).sum() == 2 * 8 + 6 * 4


def test_window_outside_the_image_is_black():
    image = np.full((8, 8, 3), 255, np.uint8)
    for left, top in ((100, 0), (-100, 0), (0, 100), (0, -100)):
        window = CropWindow(left, top, 4, (left + 2.0, top + 2.0))
        assert cut(image, window, 4).max() == 0
        assert padding_mask(window, (8, 8), 4).all()


@pytest.mark.parametrize('published', [False, True])
def test_a_box_comes_back_from_the_crop(published):
    window = window_around(np.array([10.3, 20.6, 31, 17]), 4)
    box = np.array([12.0, 18, 20, 30])
    back = window.to_image(window.to_crop(box, 64, published), published)
    shift = 0.5 * window.side / 64 if published else 0  # the label's half pixel of the crop
    assert back == pytest.approx(box - [shift, shift, 0, 0])


def test_labels_point_at_the_pixels_of_the_crop():
    image = np.zeros((60, 80, 3), np.uint8)
    image[20:36, 32:56] = 255
    window = window_around(np.array([30.4, 18.7, 25, 17]), 2.5)
    x, y, w, h = window.to_crop(np.array([32, 20, 24, 16]), 256) * 256
    lit = cut(image, window, 256)[..., 0] > 127
    rows, columns = np.flatnonzero(lit.any(1)), np.flatnonzero(lit.any(0))
    edges = [columns[0], columns[-1] + 1, rows[0], rows[-1] + 1]
    assert np.abs(np.array([x, x + w, y, y + h]) - edges).max() <= 0.5


def test_box_without_area():
    with pytest.raises(UserError, match='no area'):
        window_around(np.array([5, 5, 0, 7]), 2)
