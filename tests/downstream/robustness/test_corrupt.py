"""The 15 corruptions: the published strength, any size, the same picture whoever asks."""

import cv2
import numpy as np
import pytest

from downstream.robustness import blur, weather
from downstream.robustness.conditions import DRAWN, NAMES, SEVERITIES
from downstream.robustness.corrupt import conditions_for, corrupt, read_frost
from mim_backbones.errors import UserError

# Mean absolute change of `picture()` at severity 1..5 by imagecorruptions' functions (mirror of
# bethgelab/imagecorruptions), over up to 300 draws. No frost: its photographs are not ours.
PUBLISHED = {
    'gaussian_noise': (16.19, 24.16, 35.42, 48.79, 64.75),
    'shot_noise': (17.80, 27.10, 38.34, 56.35, 70.48),
    'impulse_noise': (3.89, 7.63, 11.54, 21.77, 34.42),
    'defocus_blur': (1.76, 2.60, 4.76, 7.05, 10.11),
    'glass_blur': (5.96, 4.69, 11.89, 9.61, 10.77),
    'motion_blur': (6.79, 10.56, 16.19, 22.01, 25.27),
    'zoom_blur': (7.18, 9.40, 11.43, 13.31, 15.40),
    'snow': (41.13, 68.73, 67.75, 82.17, 99.23),
    'fog': (33.05, 36.46, 39.41, 39.69, 40.95),
    'brightness': (18.87, 37.44, 52.20, 64.01, 69.33),
    'contrast': (20.81, 24.24, 27.70, 31.14, 32.86),
    'elastic_transform': (4.03, 5.20, 6.80, 7.94, 9.39),
    'pixelate': (2.40, 2.74, 3.42, 4.76, 5.58),
    'jpeg_compression': (4.74, 5.82, 6.39, 8.54, 11.37),
}
DRAWS = {'fog': 100, 'motion_blur': 100, 'snow': 20, 'glass_blur': 10, 'elastic_transform': 10}


def picture():
    y, x = np.mgrid[:96, :128].astype(np.float64)
    planes = [
        128 + 90 * np.sin(x / 9) * np.cos(y / 13),
        90 + 60 * np.cos((x + 2 * y) / 17) + 50 * ((x - 60) ** 2 + (y - 50) ** 2 < 900),
        140 + 80 * np.sin(y / 5) * (x > 64),
    ]
    return np.clip(np.stack(planes, -1), 0, 255).astype(np.uint8)


def change(a, b):
    return float(np.abs(a.astype(float) - b).mean())


@pytest.mark.parametrize('name', PUBLISHED)
def test_as_strong_as_published(name):
    image = picture()
    for severity, published in zip(SEVERITIES, PUBLISHED[name]):
        draws = DRAWS.get(name, 3)
        own = [change(corrupt(image, name, severity, str(i)), image) for i in range(draws)]
        # flat areas fall by one where rounding errors lie under a whole number: 0.25
        assert np.mean(own) == pytest.approx(published, rel=0.08, abs=0.25), severity


@pytest.mark.parametrize('name', NAMES)
@pytest.mark.parametrize('size', [(33, 47), (16, 16), (5, 90), (1, 1), (130, 64)])
def test_any_size_keeps_shape_and_type_and_leaves_the_picture_alone(name, size):
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    image[..., 1:] = image[..., :1]  # grey in colour
    before = image.copy()
    for severity in SEVERITIES:
        found = corrupt(image, name, severity, 'a/b.jpg')
        assert found.shape == image.shape and found.dtype == np.uint8
        assert not np.shares_memory(found, image)
    assert (image == before).all()


@pytest.mark.parametrize('name', NAMES)
def test_what_is_drawn_depends_on_picture_severity_and_seed_alone(name):
    image = picture()
    first = corrupt(image, name, 3, 'val/1.jpg')
    corrupt(image, name, 3, 'val/2.jpg')
    np.random.rand(3)  # noqa: NPY002  nobody's global state counts
    assert (corrupt(image, name, 3, 'val/1.jpg') == first).all()
    fixed = ('defocus_blur', 'zoom_blur', 'brightness', 'contrast', 'pixelate', 'jpeg_compression')
    for other in (corrupt(image, name, 3, 'val/2.jpg'), corrupt(image, name, 3, 'val/1.jpg', 1)):
        assert (other == first).all() == (name in fixed)


@pytest.mark.parametrize('name', NAMES)
def test_severity_one_changes_less_than_five(name):
    image = picture()
    mild, strong = (
        np.mean([change(corrupt(image, name, s, str(i)), image) for i in range(10)]) for s in (1, 5)
    )
    assert 0 < mild < strong


def test_severities_rise_on_average_over_all():
    image = picture()
    names = [name for name in NAMES if name not in ('glass_blur', 'snow')]  # those published fall
    levels = [
        np.mean([change(corrupt(image, n, s, str(i)), image) for n in names for i in range(3)])
        for s in SEVERITIES
    ]
    assert levels == sorted(levels)


def test_glass_copies_as_the_published_loop_does():
    height, width, reach = 13, 17, 2
    rng = np.random.default_rng(5)
    inner = (height - 2 * reach, width - 2 * reach)
    offset = rng.integers(-reach, reach, (2, *inner), dtype=np.int32)
    ours = np.arange(height * width)[blur._sources(offset, reach, height, width)]
    cells = np.arange(height * width).reshape(height, width)
    for h in range(height - reach, reach, -1):  # last to first; each sees what those before did
        for w in range(width - reach, reach, -1):
            down, right = offset[:, h - reach - 1, w - reach - 1]
            cells[h, w] = cells[h + down, w + right]
    assert (ours.reshape(height, width) == cells).all()


def test_streaks_spread_a_point_to_one_side():
    point = np.zeros((9, 15), np.float32)
    point[4, 12] = 1
    found = blur.streaked(point, 2, 100.0, 0.0)
    assert found[4, 8:13] == pytest.approx(0.2, abs=1e-3)  # five steps of nearly equal weight
    assert found.sum() == pytest.approx(1)


def test_enlarging_keeps_corners_on_corners():
    ramp = np.arange(5, dtype=np.float32)[None, :, None].repeat(5, 0)
    assert blur.stretched(ramp, 2.0)[0, :, 0] == pytest.approx(np.arange(10) * 4 / 9, abs=1e-6)


def test_brightness_and_contrast_by_hand():
    image = np.array([[[100, 50, 0], [0, 0, 0], [250, 10, 10], [255, 255, 255]]], np.uint8)
    bright = corrupt(image, 'brightness', 2, 'x')  # value rises by 51; colours scale alike
    assert bright.tolist() == [[[151, 75, 0], [51, 51, 51], [255, 10, 10], [255, 255, 255]]]
    two = np.array([[[0, 10, 20], [100, 10, 220]]], np.uint8)
    flat = corrupt(two, 'contrast', 3, 'x')  # a fifth of the way from the means 50, 10, 120
    assert flat.tolist() == [[[40, 10, 100], [60, 10, 140]]]


def test_plasma_is_within_bounds_of_any_size():
    for least in (1, 2, 3, 100):
        found = weather.plasma(least, 2.0, np.random.default_rng(0))
        assert least <= len(found) < 2 * least and found.min() == 0
        assert found.max() == pytest.approx(1 if least > 1 else 0)


def test_frost_takes_photographs_that_are_given(tmp_path):
    for name, value in (('a.png', 40), ('b.jpg', 40)):
        cv2.imwrite(str(tmp_path / name), np.full((30, 40, 3), value, np.uint8))
    photographs = read_frost(tmp_path)
    assert [one.shape for one in photographs] == [(30, 40, 3)] * 2
    image = np.full((64, 200, 3), 100, np.uint8)
    found = corrupt(image, 'frost', 3, 'x', frost_pictures=photographs)
    assert (found == int(0.7 * 100 + 0.7 * 40)).all()
    drawn = corrupt(image, 'frost', 3, 'x')
    assert drawn.std() > 5

    given = conditions_for(['frost'], [1], tmp_path)
    assert given.frost != DRAWN and given.frost_pictures == str(tmp_path.resolve())
    assert conditions_for(['frost'], [1]).frost == DRAWN
    with pytest.raises(UserError, match='frost is not among'):
        conditions_for(['fog'], [1], tmp_path)
    (tmp_path / 'c.png').write_bytes(b'')
    with pytest.raises(UserError, match=r'c\.png: not a picture'):
        conditions_for(['frost'], [1], tmp_path)


@pytest.mark.parametrize(
    ('image', 'name', 'severity', 'message'),
    [
        (np.zeros((9, 9, 3), np.uint8), 'rain', 1, 'rain'),
        (np.zeros((9, 9, 3), np.uint8), 'fog', 6, 'severity 6'),
        (np.zeros((9, 9), np.uint8), 'fog', 1, 'x: corruptions take'),
        (np.zeros((9, 9, 3), np.float32), 'fog', 1, 'x: corruptions take'),
        (np.zeros((0, 9, 3), np.uint8), 'fog', 1, 'x: corruptions take'),
    ],
)
def test_what_cannot_be_corrupted_is_one_line(image, name, severity, message):
    with pytest.raises(UserError, match=message):
        corrupt(image, name, severity, 'x')
