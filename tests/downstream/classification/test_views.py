"""Views against those of timm and torchvision, which the published recipes run."""

import random

import numpy as np
import pytest
import torch
from PIL import Image
from timm.data import create_transform
from torchvision import transforms

from downstream.classification.views import CentreView, TrainView, channels_first


def picture(width: int, height: int) -> Image.Image:
    pixels = np.random.default_rng(1).integers(0, 256, (height // 4, width // 4, 3), np.uint8)
    return Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR)


@pytest.mark.parametrize('sides', [(500, 375), (333, 500), (70, 90), (256, 256)])
@pytest.mark.parametrize('img_size', [224, 64, 384])
def test_the_centre_is_torchvisions(sides, img_size) -> None:
    resized = int(256 / 224 * img_size) if img_size <= 224 else img_size
    bicubic = transforms.InterpolationMode.BICUBIC
    published = transforms.Compose(
        [transforms.Resize(resized, interpolation=bicubic), transforms.CenterCrop(img_size)]
    )
    expected = channels_first(published(picture(*sides)))
    assert torch.equal(CentreView(img_size)(picture(*sides)), expected)


def test_training_views_are_timms() -> None:
    options = {'auto_augment': 'rand-m9-mstd0.5-inc1', 'interpolation': 'bicubic', 're_prob': 0.0}
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    published = create_transform(64, is_training=True, color_jitter=None, **options)
    view = TrainView(64, rand_augment='rand-m9-mstd0.5-inc1')
    seen = set()
    for seed in range(12):
        found, expected = (drawn(seed, one) for one in (view, published))
        normal = (found / 255 - mean[:, None, None]) / std[:, None, None]
        torch.testing.assert_close(normal, expected, atol=1e-5, rtol=0)
        seen.add(found.float().mean().item())
    assert len(seen) == 12


def drawn(seed: int, view) -> torch.Tensor:
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  timm draws from it
    torch.manual_seed(seed)
    return view(picture(120, 90))


def test_a_resize_below_the_crop_is_refused() -> None:
    with pytest.raises(ValueError, match='below img_size'):
        CentreView(64, resized=60)
