import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pretrain.images.decode import open_image, read_crop, sample_crop


@given(st.integers(1, 500), st.integers(1, 500), st.integers(0, 1000))
def test_crops_stay_inside(height: int, width: int, seed: int) -> None:
    box = sample_crop((height, width), (0.2, 1.0), (3 / 4, 4 / 3), np.random.default_rng(seed))
    left, top, right, bottom = box
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height


def test_area_share_is_within_the_range() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        left, top, right, bottom = sample_crop((300, 400), (0.4, 0.6), (3 / 4, 4 / 3), rng)
        assert 0.39 < (right - left) * (bottom - top) / (300 * 400) < 0.61


def smooth(height: int, width: int) -> Image.Image:
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / 37 + k) * np.cos(y / 29 - k) for k in range(3)]
    return Image.fromarray((127 + 120 * np.stack(waves, -1)).astype(np.uint8))


def test_reduced_decoding_gives_the_picture_of_full_decoding(tmp_path) -> None:
    smooth(512, 640).save(tmp_path / 'a.jpg', quality=95)
    box = (64, 32, 576, 480)
    with open_image(tmp_path / 'a.jpg') as image:
        reduced = read_crop(image, box, 64)
        assert image.size == (160, 128)  # a quarter each way: the box of 448 still has 112 pixels
    with open_image(tmp_path / 'a.jpg') as image:
        full = image.resize((64, 64), Image.Resampling.BILINEAR, box=box)
    difference = np.abs(reduced.astype(int) - np.asarray(full).astype(int))
    assert reduced.shape == (64, 64, 3)
    assert difference.mean() < 1.5
    assert difference.max() < 12


def test_a_small_crop_is_decoded_in_full(tmp_path) -> None:
    smooth(512, 640).save(tmp_path / 'a.jpg')
    with open_image(tmp_path / 'a.jpg') as image:
        read_crop(image, (0, 0, 100, 100), 64)
        assert image.size == (640, 512)


def test_other_modes_become_rgb(tmp_path) -> None:
    smooth(64, 64).convert('L').save(tmp_path / 'grey.png')
    smooth(64, 64).convert('P').save(tmp_path / 'palette.png')
    for name in ('grey.png', 'palette.png'):
        with open_image(tmp_path / name) as image:
            assert read_crop(image, (0, 0, 64, 64), 32).shape == (32, 32, 3)


def test_sixteen_bit_grey_keeps_its_shades(tmp_path) -> None:
    shades = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    Image.fromarray(shades).save(tmp_path / 'deep.png')
    Image.fromarray(shades).save(tmp_path / 'deep.tif')
    expected = (shades / 257).round()
    for name in ('deep.png', 'deep.tif'):
        with open_image(tmp_path / name) as image:
            crop = read_crop(image, (0, 0, 64, 64), 64)
        assert (crop == expected[..., None]).all()


@pytest.mark.parametrize('kind', [np.int32, np.float32])
def test_values_of_unknown_range_are_no_picture(tmp_path, kind) -> None:
    Image.fromarray(np.arange(64, dtype=kind).reshape(8, 8)).save(tmp_path / 'a.tif')
    with open_image(tmp_path / 'a.tif') as image, pytest.raises(ValueError, match='range'):
        read_crop(image, (0, 0, 8, 8), 8)
