import shutil
from dataclasses import replace

import mmcv
import numpy as np
import pytest
from PIL import Image

from downstream.segmentation.data import SegmentationData, describe, image_suffix, read_split
from mim_backbones.data_spec import load_data_spec
from mim_backbones.errors import UserError


@pytest.fixture
def data(world, tmp_path):
    root = tmp_path / 'ade'
    shutil.copytree(world / 'ade' / 'ADEChallengeData2016', root)
    section = replace(load_data_spec(world)['segmentation'], root=root)
    return SegmentationData(**vars(section))


def test_card_counts_and_fingerprint(data):
    card = describe(data)
    assert (card.train, card.val) == (8, 4)
    assert card.classes == data.classes
    assert all(path.is_dir() for path in data.wanted())
    assert read_split(data, 'training').suffix == image_suffix(data, 'training') == '.jpg'
    next((data.root / 'images' / 'validation').iterdir()).rename(
        data.root / 'images' / 'validation' / 'renamed.jpg'
    )
    with pytest.raises(UserError, match=r'renamed\.png is not there'):
        describe(data)


def test_a_label_beyond_the_classes_is_named(data):
    with pytest.raises(UserError, match='no class of 3'):
        describe(replace(data, classes=('a', 'b', 'c')))


def test_forgotten_reduce_zero_label_is_noticed(data):
    files = (data.root / 'annotations' / 'training').iterdir()
    largest = max(int(np.asarray(Image.open(path)).max()) for path in files)
    # As many classes as the largest label: 1..largest are all right, but not without the shift.
    data = replace(data, classes=data.classes[:largest])
    assert describe(data).train == 8
    with pytest.raises(UserError, match=f'holds .{largest}.*reduce_zero_label'):
        describe(replace(data, reduce_zero_label=False))


def test_reduce_zero_label_goes_with_255_only(data):
    with pytest.raises(UserError, match='use ignore_index: 255'):
        describe(replace(data, ignore_index=11))


@pytest.mark.parametrize('split', ['training', 'validation'])
def test_nothing_but_ignored_pixels_is_refused(data, split):
    for path in (data.root / 'annotations' / split).iterdir():
        Image.fromarray(np.full_like(np.asarray(Image.open(path)), 255)).save(path)
    with pytest.raises(UserError, match=f'{split}: .* hold ignored pixels alone'):
        describe(data)


@pytest.mark.parametrize('split', ['training', 'validation'])
def test_one_label_map_of_another_size_is_named(data, split):
    path = sorted((data.root / 'annotations' / split).iterdir())[-1]
    label = Image.open(path)
    width, height = label.size
    label.resize((width // 2, height // 2), Image.Resampling.NEAREST).save(path)
    with pytest.raises(UserError, match=rf'{path.name} has {width // 2} x {height // 2} pixels'):
        describe(data)


def test_label_maps_follow_pictures_as_they_are_shown(data):
    """Loaders turn a picture that its camera marked as lying on its side."""
    name = sorted((data.root / 'images' / 'training').iterdir())[0].stem
    image = data.root / 'images' / 'training' / f'{name}.jpg'
    label = data.root / 'annotations' / 'training' / f'{name}.png'
    wide = np.zeros((20, 30, 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(wide).save(image, exif=exif)
    Image.fromarray(np.ones((30, 20), np.uint8)).save(label)
    assert mmcv.imread(image).shape[:2] == (30, 20)
    describe(data)


def test_a_test_image_that_cannot_be_read_is_named(data):
    image = sorted((data.root / 'images' / 'validation').iterdir())[0]
    image.write_bytes(b'no picture')
    with pytest.raises(UserError, match=f'{image.name} cannot be read'):
        describe(data)


def test_mixed_suffixes_and_no_images_are_refused(data):
    image = next((data.root / 'images' / 'training').iterdir())
    image.rename(image.with_suffix('.png'))
    with pytest.raises(UserError, match=r'found \.jpg, \.png'):
        describe(data)
    shutil.rmtree(data.root / 'images' / 'training')
    (data.root / 'images' / 'training').mkdir()
    with pytest.raises(UserError, match='found no image'):
        describe(data)


@pytest.mark.parametrize('content', [b'no picture', b''])
def test_a_label_map_that_is_no_picture_is_named(data, content):
    path = sorted((data.root / 'annotations' / 'training').iterdir())[0]
    path.write_bytes(content)
    with pytest.raises(UserError, match=f'{path.name} cannot be read'):
        describe(data)


def test_a_colour_label_map_is_refused(data):
    path = sorted((data.root / 'annotations' / 'training').iterdir())[0]
    Image.open(path).convert('RGB').save(path)
    with pytest.raises(UserError, match='3 channels'):
        describe(data)


def test_camvid_convention(shared):
    classes = (shared / 'data' / 'camvid_small' / 'classes.txt').read_text().split()[:11]
    data = SegmentationData(
        root=shared / 'data' / 'camvid_small', classes=tuple(classes), ignore_index=11
    )
    card = describe(data)
    assert (card.train, card.val) == (140, 40)
