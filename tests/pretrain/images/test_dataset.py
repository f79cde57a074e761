import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader
from torchvision.transforms import functional as published

from mim_backbones.errors import UserError
from mim_backbones.images.normalise import Normalise
from pretrain.images.dataset import UnlabelledImages, View
from pretrain.images.decode import colour_jitter, load_image
from pretrain.images.preprocessor import ImagePreprocessor, to_uint8
from pretrain.images.sampler import SeededSampler
from tests.pretrain.small import bound, write_blobs

MASKER = dict(type='RandomPatchMasker', unit_px=8)


@pytest.fixture
def images(tmp_path):
    rng = np.random.default_rng(0)
    for i in range(6):
        pixels = rng.integers(0, 255, (40, 48, 3), dtype=np.uint8)
        (tmp_path / f'class{i % 2}').mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / f'class{i % 2}' / f'{i}.jpg')
    (tmp_path / 'notes.txt').write_text('not an image')
    return tmp_path


def dataset(root, view: View | None = None, **options) -> UnlabelledImages:
    return bound(UnlabelledImages(str(root), MASKER, **options), view=view)


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
    data = bound(UnlabelledImages(str(images), interpolation='bicubic'))
    item = data[(0, (0, 0, 0))]
    assert set(item) == {'image', 'skipped'}
    batch = ImagePreprocessor()({'image': item['image'][None]})
    assert set(batch) == {'image'}
    assert batch['image'].min() >= 0 and batch['image'].max() <= 1
    bilinear = bound(UnlabelledImages(str(images)))[(0, (0, 0, 0))]
    assert not torch.equal(item['image'], bilinear['image'])  # the same crop, resized otherwise


def test_an_unknown_interpolation_is_refused(images) -> None:
    with pytest.raises(ValueError, match="interpolation='cubic'; known: bilinear, bicubic"):
        UnlabelledImages(str(images), interpolation='cubic')


def test_decoding_is_exact_unless_asked_for(images) -> None:
    assert UnlabelledImages(str(images)).decode == 'exact'
    with pytest.raises(ValueError, match="decode='quick'; known: exact, fast"):
        UnlabelledImages(str(images), decode='quick')


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
    image = load_image(images / 'class0' / '0.jpg', 32)[None]
    unit = ImagePreprocessor()({'image': image, 'mask': torch.ones(1, 4, 4).bool()})['image']
    assert unit[0, 0, 0, 0].item() == pytest.approx(image[0, 0, 0, 0].item() / 255)
    normalised = Normalise()(unit)
    # By hand: a red value of 123.675 + 58.395 would be 1.
    expected = (image[0, 0, 0, 0].item() - 123.675) / 58.395
    assert normalised[0, 0, 0, 0].item() == pytest.approx(expected, abs=1e-5)
    assert torch.equal(to_uint8(Normalise().undo(normalised)), image)


def test_load_image_names_the_file(images) -> None:
    with pytest.raises(UserError, match=r'notes\.txt cannot be decoded'):
        load_image(images / 'notes.txt', 32)


def test_both_views_show_the_same_crop_flip_and_colours(tmp_path) -> None:
    blobs = write_blobs(tmp_path / 'blobs', px=120)
    data = dataset(blobs, View(64), jitter=0.4, scale=(0.2, 1.0), interpolation='bicubic')
    for position in range(8):
        item = data[(0, (0, 0, position))]
        assert item['image'].shape == (3, 32, 32)
        assert item['target_image'].shape == (3, 64, 64)
        assert item['image'].dtype == item['target_image'].dtype == torch.uint8
        assert item['mask'].shape == (4, 4)
        half = torch.nn.functional.avg_pool2d(item['target_image'].float(), 2)
        assert (half - item['image']).abs().mean() < 2


def test_equal_sizes_give_equal_views(images) -> None:
    item = dataset(images, View(32), interpolation='bicubic')[(1, (0, 0, 0))]
    assert torch.equal(item['image'], item['target_image'])
    other = dataset(images, View(32, 'lanczos'), interpolation='bicubic')[(1, (0, 0, 0))]
    assert torch.equal(item['image'], other['image'])
    assert not torch.equal(item['target_image'], other['target_image'])


def test_a_target_may_see_colours_as_they_are(images) -> None:
    """A view of its own, also where it asks for none: the crop of a picture nobody jitters."""
    options = dict(interpolation='bicubic', scale=(0.2, 1.0), flip=1.0)
    plain = dataset(images, **options)
    for view in (None, View(32), View(64)):
        data = dataset(images, view, jitter=0.4, jitter_target=False, **options)
        found, unjittered = data[(1, (0, 0, 0))], plain[(1, (0, 0, 0))]['image']
        assert not torch.equal(found['image'], unjittered)
        target = found['target_image']
        if view == View(64):
            assert target.shape == (3, 64, 64)
            target = torch.nn.functional.avg_pool2d(target.float(), 2)
            assert (target - unjittered).abs().mean() < 5
        else:
            assert torch.equal(target, unjittered)


def test_jitter_is_the_published_one_of_the_whole_picture(images) -> None:
    picture = Image.open(images / 'class0' / '0.jpg')

    class Fixed:
        def uniform(self, low, high, count):
            assert (low, high, count) == (0.6, 1.4, 3)
            return np.array([1.3, 0.7, 1.2])

        def permutation(self, count):
            return np.array([2, 0, 1])

    expected = published.adjust_saturation(picture, 1.2)
    expected = published.adjust_contrast(published.adjust_brightness(expected, 1.3), 0.7)
    found = colour_jitter(picture, 0.4, Fixed())
    assert np.array_equal(np.asarray(found), np.asarray(expected))
    assert colour_jitter(picture, 0.0, Fixed()) is picture


def test_views_of_a_batch_do_not_depend_on_workers(images) -> None:
    def run(workers: int) -> list[dict]:
        data = dataset(images, View(64), jitter=0.4)
        sampler = SeededSampler(data, seed=3)
        return list(DataLoader(data, batch_size=2, sampler=sampler, num_workers=workers))

    for a, b in zip(run(0), run(1), strict=True):
        assert all(torch.equal(a[key], b[key]) for key in ('image', 'target_image', 'mask'))


def test_a_second_view_goes_to_the_unit_range_too() -> None:
    grey = torch.full((2, 3, 4, 4), 127, dtype=torch.uint8)
    mask = torch.ones(2, 1, 1).bool()
    batch = {'image': grey, 'target_image': grey, 'mask': mask, 'skipped': ['', '']}
    found = ImagePreprocessor()(batch)
    assert set(found) == {'image', 'target_image', 'mask'}
    for name in ('image', 'target_image'):
        assert found[name].unique().item() == pytest.approx(127 / 255)


@pytest.mark.parametrize(('options', 'message'), [
    (dict(jitter=1.5), 'jitter 1.5 is not between 0 and 1'),
    (dict(masker=dict(MASKER, patch_size=4)), 'masker: patch_size=4 in the config, but .* has 8'),
    (dict(masker=dict(MASKER, unit_px=5)), 'must divide each other'),
    (dict(masker=dict(MASKER, count=5)), 'takes no count'),
    (dict(img_size=64), 'data set: img_size=64 in the config, but the backbone has 32; leave'),
])  # fmt: skip
def test_contradictions_are_one_line(images, options, message) -> None:
    with pytest.raises((UserError, ValueError), match=message) as caught:
        bound(UnlabelledImages(str(images), **{'masker': MASKER, **options}))
    assert '\n' not in str(caught.value)
