"""Two views: whose draws are whose, what happens to colours, what a bad entry says."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter, ImageOps
from torch.utils.data import DataLoader
from torchvision.transforms import functional as published

from mim_backbones.errors import UserError
from mim_backbones.training.launch import build_runner
from pretrain.images import decode
from pretrain.images.preprocessor import ImagePreprocessor
from pretrain.images.sampler import SeededSampler
from pretrain.images.two_views import Distortion, TwoViews
from tests.pretrain.small import METHODS, bound, recipe, write_blobs

PLAIN = {'jitter': 0.0, 'grey': 0.0}
NEVER = {'jitter': 0, 'grey': 0, 'blur': 0, 'solarise': 0}


@pytest.fixture(scope='module')
def images(tmp_path_factory):
    return write_blobs(tmp_path_factory.mktemp('images'), count=6, px=64)


def batches(images, workers: int, epoch: int = 0, seed: int = 3) -> list[dict]:
    data = bound(TwoViews(str(images)))
    sampler = SeededSampler(data, seed=seed)
    sampler.set_epoch(epoch)
    return list(DataLoader(data, batch_size=2, sampler=sampler, num_workers=workers))


def picture(images) -> Image.Image:
    return Image.open(sorted(images.glob('*.png'))[0]).convert('RGB')


def test_items_are_two_uint8_views(images) -> None:
    item = bound(TwoViews(str(images)))[(0, (0, 0, 0))]
    assert set(item) == {'image', 'second_image', 'skipped'}
    for name in ('image', 'second_image'):
        assert item[name].dtype == torch.uint8 and item[name].shape == (3, 32, 32)
    assert not torch.equal(item['image'], item['second_image'])
    unit = ImagePreprocessor()({key: item[key][None] for key in ('image', 'second_image')})
    assert set(unit) == {'image', 'second_image'}
    assert all(view.dtype == torch.float32 and view.max() <= 1 for view in unit.values())


def test_what_is_drawn_depends_on_seed_epoch_and_index_only(images) -> None:
    alone, with_workers = batches(images, 0), batches(images, 2)
    for one, other in zip(alone, with_workers, strict=True):
        for name in ('image', 'second_image'):
            assert torch.equal(one[name], other[name])
    for others in (batches(images, 0, epoch=1), batches(images, 0, seed=4)):
        assert not any(
            torch.equal(one['image'], other['image'])
            for one, other in zip(alone, others, strict=True)
        )


def test_a_file_is_decoded_once(images, monkeypatch) -> None:
    calls = []
    whole = decode.to_rgb
    monkeypatch.setattr(decode, 'to_rgb', lambda image: calls.append(image) or whole(image))
    bound(TwoViews(str(images)))[(0, (0, 0, 0))]
    assert len(calls) == 1


def test_views_are_two_crops_resized(images) -> None:
    """Without colours and flips: the boxes that the sample's generator draws first, by Pillow."""
    data = bound(TwoViews(str(images), flip=0.0, views=[NEVER, NEVER]))
    item = data[(0, (5, 0, 0))]
    rng = np.random.default_rng((5, 0, 0))
    for name in ('image', 'second_image'):
        box = decode.sample_crop((64, 64), (0.08, 1.0), (3 / 4, 4 / 3), rng)
        expected = picture(images).crop(box).resize((32, 32), Image.Resampling.BILINEAR)
        assert np.array_equal(item[name].permute(1, 2, 0).numpy(), np.asarray(expected))


def test_fast_decoding_sees_the_same(tmp_path) -> None:
    write_blobs(tmp_path, count=1, px=640)
    Image.open(tmp_path / '000.png').save(tmp_path / '000.jpg', quality=95)
    (tmp_path / '000.png').unlink()
    options = {'views': [NEVER, NEVER], 'scale': (0.5, 1.0)}
    exact, fast = (
        bound(TwoViews(str(tmp_path), decode=how, **options))[(0, (1, 0, 0))]
        for how in decode.DECODES
    )
    for name in ('image', 'second_image'):
        assert (exact[name].float() - fast[name].float()).abs().mean() < 2


def test_each_distortion_is_the_published_operation(images) -> None:
    rng, image = np.random.default_rng(0), picture(images)
    grey = Distortion(jitter=0, grey=1)(image, rng)
    assert np.array_equal(grey, published.to_grayscale(image, 3))
    blurred = Distortion(**PLAIN, blur=1, sigma=(1.5, 1.5))(image, rng)
    assert np.array_equal(blurred, image.filter(ImageFilter.GaussianBlur(1.5)))
    solarised = Distortion(**PLAIN, solarise=1)(image, rng)
    assert np.array_equal(solarised, ImageOps.solarize(image))
    for field, change in (
        ('brightness', published.adjust_brightness), ('contrast', published.adjust_contrast),
        ('saturation', published.adjust_saturation), ('hue', published.adjust_hue),
    ):  # fmt: skip
        others = dict.fromkeys(('brightness', 'contrast', 'saturation', 'hue'), 0.0)
        found = Distortion(**{**PLAIN, 'jitter': 1, **others, field: 0.3})(
            image, np.random.default_rng(7)
        )
        rng = np.random.default_rng(7)
        rng.random()  # whether at all
        draws = {name: rng.uniform(-1, 1) for name in others}
        expected = change(image, draws[field] * 0.3 + (field != 'hue'))
        # Factors of 1 leave everything but rounding of the way to hue and back.
        difference = np.asarray(found).astype(int) - np.asarray(expected)
        assert np.abs(difference).mean() < 3, field
        assert np.abs(np.asarray(found).astype(int) - np.asarray(image)).mean() > 3, field


def test_distortions_come_as_often_as_they_say(images) -> None:
    """400 views: solarised a fifth, grey a fifth; five deviations are 0.1."""
    image = picture(images)
    counted = {'grey': 0, 'solarise': 0}
    for name in counted:
        distort, rng = Distortion(**{**NEVER, name: 0.2}), np.random.default_rng(1)
        original = np.asarray(image)
        counted[name] = sum(
            not np.array_equal(np.asarray(distort(image, rng)), original) for _ in range(400)
        )
        assert abs(counted[name] / 400 - 0.2) < 0.1


def test_a_corrupt_file_is_replaced_and_named(tmp_path) -> None:
    write_blobs(tmp_path, count=2)
    bad = tmp_path / '000.png'
    bad.write_bytes(bad.read_bytes()[:60])
    item = bound(TwoViews(str(tmp_path)))[(0, (0, 0, 0))]
    assert item['skipped'] == str(bad) and item['second_image'].shape == (3, 32, 32)


def test_entries_that_are_none(images) -> None:
    with pytest.raises(UserError, match=r"unexpected keyword argument 'blurr'; known: jitter, "):
        TwoViews(str(images), views=[{'blurr': 1.0}, {}])
    with pytest.raises(UserError, match='3 entries in views; give two'):
        TwoViews(str(images), views=[{}, {}, {}])


@pytest.mark.parametrize('name', ['SimMIM', 'MAE', 'VQKD'])
def test_a_method_of_one_view_refuses_two_in_one_line(name: str, images, tmp_path) -> None:
    config = recipe(METHODS[name], images, tmp_path / 'run')
    config.train_dataloader.dataset = {'type': 'TwoViews', 'root': str(images)}
    with pytest.raises(
        UserError, match='takes no second_image, which TwoViews gives; set'
    ) as error:
        build_runner(config).train()
    assert '\n' not in str(error.value)
