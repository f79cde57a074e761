import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader
from torchvision.transforms import functional as published

from pretrain.images.jitter import colour_jitter
from pretrain.images.sampler import SeededSampler
from pretrain.images.views import TwoViewImages, TwoViewPreprocessor

MASKER = dict(type='RandomPatchMasker', img_size=32, patch_size=8, unit_px=8)


@pytest.fixture
def images(tmp_path):
    rng = np.random.default_rng(0)
    for i in range(4):
        coarse = rng.integers(0, 255, (5, 6, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((120, 100)).save(tmp_path / f'{i}.png')
    return tmp_path


def dataset(root, **options) -> TwoViewImages:
    return TwoViewImages(
        str(root), **{**dict(img_size=32, token_size=64, masker=MASKER), **options}
    )


def test_both_views_show_the_same_crop_flip_and_colours(images) -> None:
    data = dataset(images)
    for position in range(8):
        item = data[(0, (0, 0, position))]
        assert item['image'].shape == (3, 32, 32)
        assert item['token_image'].shape == (3, 64, 64)
        assert item['image'].dtype == item['token_image'].dtype == torch.uint8
        assert item['mask'].shape == (4, 4)
        half = torch.nn.functional.avg_pool2d(item['token_image'].float(), 2)
        assert (half - item['image']).abs().mean() < 2


def test_equal_sizes_give_equal_views(images) -> None:
    item = dataset(images, token_size=32)[(1, (0, 0, 0))]
    assert torch.equal(item['image'], item['token_image'])
    other = dataset(images, token_size=32, token_interpolation='lanczos')[(1, (0, 0, 0))]
    assert torch.equal(item['image'], other['image'])
    assert not torch.equal(item['token_image'], other['token_image'])


def test_what_is_drawn_depends_on_the_sample_only(images) -> None:
    def batches(workers: int) -> list[dict]:
        data = dataset(images)
        sampler = SeededSampler(data, seed=3)
        return list(DataLoader(data, batch_size=2, sampler=sampler, num_workers=workers))

    for a, b in zip(batches(0), batches(1), strict=True):
        assert all(torch.equal(a[key], b[key]) for key in ('image', 'token_image', 'mask'))


def test_jitter_is_the_published_one_of_the_whole_picture(images) -> None:
    picture = Image.open(images / '0.png')

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


def test_a_corrupt_file_is_replaced_and_named(images) -> None:
    (images / '0.png').write_bytes((images / '0.png').read_bytes()[:300])
    item = dataset(images)[(0, (0, 0, 0))]
    assert item['skipped'] == str(images / '0.png')
    assert item['token_image'].shape == (3, 64, 64)


def test_preprocessor_normalises_the_students_view_only() -> None:
    grey = torch.full((2, 3, 4, 4), 127, dtype=torch.uint8)
    found = TwoViewPreprocessor()(
        {
            'image': grey,
            'token_image': grey,
            'mask': torch.ones(2, 1, 1).bool(),
            'skipped': ['', ''],
        }
    )
    assert set(found) == {'image', 'token_image', 'mask'}
    # By hand: red (127 - 123.675) / 58.395.
    assert found['image'][0, 0, 0, 0].item() == pytest.approx(0.05694, abs=1e-5)
    assert found['token_image'].unique().item() == pytest.approx(127 / 255)


@pytest.mark.parametrize(('options', 'message'), [
    (dict(jitter=1.5), 'jitter 1.5 is not between 0 and 1'),
    (dict(token_interpolation='nearest'), "interpolation='nearest'; known: bilinear"),
])  # fmt: skip
def test_mistakes(images, options, message) -> None:
    with pytest.raises(ValueError, match=message):
        dataset(images, **options)
