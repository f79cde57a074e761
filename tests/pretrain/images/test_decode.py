import io
from math import ceil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import resized_crop

from mim_backbones.errors import UserError
from mim_backbones.images.opening import open_image
from pretrain.images.decode import decode_for, load_image, read_crop, sample_crop
from pretrain.inspect.decoding import gain


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


def noisy(height: int, width: int) -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(noise)


def smooth(height: int, width: int) -> Image.Image:
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / 37 + k) * np.cos(y / 29 - k) for k in range(3)]
    return Image.fromarray((127 + 120 * np.stack(waves, -1)).astype(np.uint8))


def test_reduced_decoding_gives_the_picture_of_full_decoding(tmp_path) -> None:
    smooth(512, 640).save(tmp_path / 'a.jpg', quality=95)
    box = (64, 32, 576, 480)
    with open_image(tmp_path / 'a.jpg') as image:
        rgb, _ = decode_for(image, [box], 64, 'fast')
        assert rgb.shape == (256, 320, 3)  # half each way: the box of 448 still has 224 of 2 x 64
        reduced = read_crop(image, box, 64, decode='fast')
    with open_image(tmp_path / 'a.jpg') as image:
        full = image.resize((64, 64), Image.Resampling.BILINEAR, box=box)
    difference = np.abs(reduced.astype(int) - np.asarray(full).astype(int))
    assert reduced.shape == (64, 64, 3)
    assert difference.mean() < 0.5
    assert difference.max() < 6


def test_exact_is_what_published_code_sees(tmp_path) -> None:
    """To the last bit; by default, whatever the sizes."""
    noisy(900, 1100).save(tmp_path / 'a.jpg')
    for box, out in (((64, 32, 864, 890), 64), ((0, 0, 1100, 900), 192), ((5, 7, 105, 87), 96)):
        with open_image(tmp_path / 'a.jpg') as image:
            found = read_crop(image, box, out, 'bicubic')
            assert image.size == (1100, 900)
        whole = Image.open(tmp_path / 'a.jpg').convert('RGB')
        left, top, right, bottom = box
        method = InterpolationMode.BICUBIC
        crop = resized_crop(whole, top, left, bottom - top, right - left, [out, out], method)
        assert np.array_equal(found, np.asarray(crop))


@given(st.integers(8, 900), st.integers(8, 900), st.integers(4, 100), st.integers(0, 1000))
@settings(deadline=None, max_examples=100)
def test_fast_leaves_twice_the_target_to_the_resize(height, width, out, seed) -> None:
    stream = io.BytesIO()
    Image.new('RGB', (width, height)).save(stream, 'JPEG')
    box = sample_crop((height, width), (0.2, 1.0), (3 / 4, 4 / 3), np.random.default_rng(seed))
    with Image.open(stream) as image:
        rgb, ((left, top, right, bottom),) = decode_for(image, [box], out, 'fast')
    side = min(right - left, bottom - top)
    assert rgb.shape[:2] == (height, width) or side >= 2 * out
    # ... and no more than that: the next step would have been too small, or there is none.
    assert side < 4 * out * 1.05 + 2 or rgb.shape[1] <= ceil(width / 8)


@pytest.mark.parametrize('interpolation', ['bilinear', 'bicubic', 'lanczos'])
@pytest.mark.parametrize(('mode', 'options'), [
    ('RGB', {}), ('RGB', {'progressive': True}), ('L', {}), ('CMYK', {}),
    ('RGB', {'subsampling': 0}), ('RGB', {'exif': b'Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03'
                                                  b'\0\0\0\x01\0\x06\0\0\0\0\0\0'}),
])  # fmt: skip
def test_where_nothing_is_reduced_fast_is_exact_to_two_levels(
    mode: str, options: dict, interpolation: str, tmp_path
) -> None:
    """Of any JPEG, turned by its EXIF or not; larger or smaller than the result."""
    smooth(300, 400).convert(mode).save(tmp_path / 'a.jpg', quality=95, **options)
    for box, out in (((31, 17, 339, 281), 224), ((100, 90, 170, 150), 96)):
        crops = []
        for decode in ('exact', 'fast'):
            with open_image(tmp_path / 'a.jpg') as image:
                crops.append(read_crop(image, box, out, interpolation, decode).astype(int))
        assert np.abs(crops[0] - crops[1]).max() <= 2


def test_fast_notices_a_file_that_is_cut_off(tmp_path) -> None:
    noisy(200, 200).save(tmp_path / 'a.jpg')
    data = (tmp_path / 'a.jpg').read_bytes()
    (tmp_path / 'a.jpg').write_bytes(data[: len(data) // 2])
    with open_image(tmp_path / 'a.jpg') as image, pytest.raises(OSError, match='truncated'):
        read_crop(image, (0, 0, 200, 200), 64, decode='fast')


def test_a_frequency_that_the_target_cannot_hold_is_damped_as_well(tmp_path) -> None:
    for ratio in (2.1, 4.0, 6.0, 9.0):
        crop = round(48 * ratio)
        exact, fast = (gain(crop, 48, 1.6, decode) for decode in ('exact', 'fast'))
        assert fast < exact + 0.03, ratio
    assert gain(192, 48, 0.5, 'fast') == pytest.approx(gain(192, 48, 0.5, 'exact'), abs=0.03)


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


def test_what_starts_another_program_is_no_image(tmp_path) -> None:
    path = tmp_path / 'a.jpg'
    path.write_bytes(b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nquit\n')
    with pytest.raises(UserError, match=r'a\.jpg cannot be decoded'):
        load_image(path, 8)


@pytest.mark.parametrize('kind', ['JPEG', 'PNG', 'WEBP', 'GIF', 'BMP', 'TIFF', 'PPM', 'MPO'])
def test_other_formats_under_any_name_are_read(tmp_path, kind) -> None:
    Image.new('RGB', (16, 16), (200, 0, 0)).save(tmp_path / 'a.jpg', format=kind)
    assert load_image(tmp_path / 'a.jpg', 8)[0].float().mean() > 190
