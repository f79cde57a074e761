import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from mim_backbones.errors import UserError
from pretrain.images.dataset import UnlabelledImages, load_image
from pretrain.images.preprocessor import ImagePreprocessor
from pretrain.images.sampler import SeededSampler

MASKER = dict(type='RandomPatchMasker', img_size=32, patch_size=8, unit_px=8)


@pytest.fixture
def images(tmp_path):
    rng = np.random.default_rng(0)
    for i in range(6):
        pixels = rng.integers(0, 255, (40, 48, 3), dtype=np.uint8)
        (tmp_path / f'class{i % 2}').mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / f'class{i % 2}' / f'{i}.jpg')
    (tmp_path / 'notes.txt').write_text('not an image')
    return tmp_path


def dataset(root) -> UnlabelledImages:
    return UnlabelledImages(str(root), 32, dict(MASKER))


def batches(root, workers: int, epoch: int = 0) -> list[dict]:
    data = dataset(root)
    sampler = SeededSampler(data, seed=3)
    sampler.set_epoch(epoch)
    return list(DataLoader(data, batch_size=2, sampler=sampler, num_workers=workers))


def test_items_are_uint8_and_masks_on_the_patch_grid(images) -> None:
    item = dataset(images)[(0, (0, 0, 0))]
    assert item['image'].dtype == torch.uint8
    assert item['image'].shape == (3, 32, 32)
    assert item['mask'].dtype == torch.bool
    assert item['mask'].shape == (4, 4)
    assert item['skipped'] == ''


def test_without_a_masker_there_is_no_mask(images) -> None:
    data = UnlabelledImages(str(images), 32, interpolation='bicubic')
    item = data[(0, (0, 0, 0))]
    assert set(item) == {'image', 'skipped'}
    batch = ImagePreprocessor(mean=(0, 0, 0), std=(255, 255, 255))({'image': item['image'][None]})
    assert set(batch) == {'image'}
    assert batch['image'].min() >= 0 and batch['image'].max() <= 1
    bilinear = UnlabelledImages(str(images), 32)[(0, (0, 0, 0))]
    assert not torch.equal(item['image'], bilinear['image'])  # the same crop, resized otherwise


def test_an_unknown_interpolation_is_refused(images) -> None:
    with pytest.raises(ValueError, match="interpolation='cubic'; known: bilinear, bicubic"):
        UnlabelledImages(str(images), 32, interpolation='cubic')


def test_what_is_drawn_depends_on_seed_and_epoch_only(images) -> None:
    alone, with_workers, later = batches(images, 0), batches(images, 2), batches(images, 0, epoch=1)
    for a, b in zip(alone, with_workers, strict=True):
        assert torch.equal(a['image'], b['image'])
        assert torch.equal(a['mask'], b['mask'])
    assert not all(torch.equal(a['mask'], b['mask']) for a, b in zip(alone, later, strict=True))


def test_each_epoch_sees_each_image_once(images) -> None:
    sampler = SeededSampler(dataset(images), seed=1)
    assert sorted(index for index, _ in sampler) == list(range(6))


def test_an_epoch_of_fixed_length_repeats_or_cuts(images) -> None:
    long = list(SeededSampler(dataset(images), seed=1, samples_per_epoch=15))
    assert [sum(index == i for index, _ in long) >= 2 for i in range(6)] == [True] * 6
    assert len({entropy for _, entropy in long}) == len(long) == 15
    assert len(list(SeededSampler(dataset(images), samples_per_epoch=4))) == 4


def test_a_corrupt_file_is_replaced_and_named(images) -> None:
    bad = images / 'class0' / '0.jpg'
    bad.write_bytes(bad.read_bytes()[:200])
    item = dataset(images)[(0, (0, 0, 0))]
    assert item['skipped'] == str(bad)
    assert item['image'].shape == (3, 32, 32)


def test_folder_errors(tmp_path) -> None:
    with pytest.raises(UserError, match=r'missing is not there.*--data'):
        dataset(tmp_path / 'missing')
    with pytest.raises(UserError, match='no JPEG or PNG below'):
        dataset(tmp_path)


def test_normalise_and_back(images) -> None:
    preprocessor = ImagePreprocessor()
    image = load_image(images / 'class0' / '0.jpg', 32)[None]
    normalised = preprocessor({'image': image, 'mask': torch.ones(1, 4, 4).bool()})['image']
    # By hand: a red value of 123.675 + 58.395 would be 1.
    expected = (image[0, 0, 0, 0].item() - 123.675) / 58.395
    assert normalised[0, 0, 0, 0].item() == pytest.approx(expected, abs=1e-6)
    assert torch.equal(preprocessor.denormalise(normalised), image)


def test_load_image_names_the_file(images) -> None:
    with pytest.raises(UserError, match=r'notes\.txt cannot be decoded'):
        load_image(images / 'notes.txt', 32)
