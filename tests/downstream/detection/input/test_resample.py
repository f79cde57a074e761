"""The crop of a resize, against Pillow's resize of the whole picture."""

import numpy as np
import pytest
from PIL import Image

from downstream.detection.input.resample import nearest_part, resize_part


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def windows(rng, size):
    """Offsets and sizes of windows in a picture: corners, edges, lines, anywhere."""
    height, width = size
    yield (0, 0), (height, width)
    yield (0, 0), (max(1, height // 2), width)
    yield (height - 1, width - 1), (1, 1)
    for _ in range(4):
        top, left = rng.integers(0, height), rng.integers(0, width)
        part = rng.integers(1, height - top + 1), rng.integers(1, width - left + 1)
        yield (int(top), int(left)), (int(part[0]), int(part[1]))


@pytest.mark.parametrize('source', [(48, 64), (37, 51), (1, 90), (70, 1), (2, 3)])
def test_every_window_has_the_pixels_of_a_whole_resize(rng, source):
    image = rng.integers(0, 256, (*source, 3), dtype=np.uint8)
    for factor in (0.07, 0.31, 0.5, 0.83, 1.0, 1.2, 4 / 3, 1.71, 2.0, 3.3):
        size = max(1, round(source[0] * factor)), max(1, round(source[1] * factor * 1.01))
        whole = np.asarray(Image.fromarray(image).resize(size[::-1], Image.Resampling.BILINEAR))
        for (top, left), part in windows(rng, size):
            found = resize_part(image, size, (top, left), part)
            expected = whole[top : top + part[0], left : left + part[1]]
            assert np.array_equal(found, expected), (size, top, left, part)
            assert found.transpose(2, 0, 1).flags.c_contiguous


def test_flat_and_extreme_pictures_stay_within_their_range():
    image = np.zeros((9, 11, 3), np.uint8)
    image[:, 5:] = 255
    found = resize_part(image, (21, 31), (3, 4), (15, 20))
    assert found.min() == 0 and found.max() == 255
    assert (resize_part(np.full_like(image, 255), (21, 31), (3, 4), (15, 20)) == 255).all()


@pytest.mark.parametrize('source', [(48, 64), (37, 51), (1, 90)])
def test_masks_by_nearest_points(rng, source):
    mask = rng.integers(0, 2, source, dtype=np.uint8)
    for factor in (0.1, 0.5, 0.77, 1.0, 1.25, 2.0):
        size = max(1, round(source[0] * factor)), max(1, round(source[1] * factor))
        whole = np.asarray(Image.fromarray(mask).resize(size[::-1], Image.Resampling.NEAREST))
        for (top, left), part in windows(rng, size):
            expected = whole[top : top + part[0], left : left + part[1]]
            assert np.array_equal(nearest_part(mask, size, (top, left), part), expected)
