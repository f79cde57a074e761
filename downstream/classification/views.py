"""A picture -> the square a classifier sees, (3, S, S) uint8.

    training   random crop, flip, RandAugment     timm's, as in the published code
    test       resize the shorter side, cut out the centre

Random erasing and Mixup work on batches, behind the normalisation (mixing.py).
"""

import numpy as np
import torch
from PIL import Image
from timm.data.transforms_factory import transforms_imagenet_train
from torch import Tensor

from downstream.registry import TRANSFORMS

RESIZED = 256 / 224  # shorter side of a test picture in sides of its crop
UNCUT = 224  # larger crops take the whole shorter side (MAE, BEiT)


@TRANSFORMS.register_module()
class TrainView:
    """Draws from Python's, numpy's and torch's global generators, which the Runner seeds by sample.

    Args:
        img_size: side of the square in pixels.
        scale: range of the crop's share of the picture's area.
        rand_augment: timm's words for RandAugment, 'rand-m9-mstd0.5-inc1'; '' for none.
        interpolation: of the crop and of RandAugment's turns: 'bicubic', 'bilinear' or 'random'.
    """

    def __init__(
        self,
        img_size: int = 224,
        scale: tuple[float, float] = (0.08, 1.0),
        rand_augment: str = '',
        interpolation: str = 'bicubic',
    ) -> None:
        crop, change, _ = transforms_imagenet_train(
            img_size,
            scale=(scale[0], scale[1]),  # a config has a list
            auto_augment=rand_augment or None,
            color_jitter=None,  # type: ignore[arg-type]
            interpolation=interpolation,
            separate=True,
        )
        self.steps = (crop, change)

    def __call__(self, picture: Image.Image) -> Tensor:
        for step in self.steps:
            picture = step(picture)
        return channels_first(picture)


@TRANSFORMS.register_module()
class CentreView:
    """Shorter side to 256/224 of img_size, centre; above 224 px to img_size itself.

    Args:
        img_size: side of the square in pixels.
        resized: shorter side in pixels; None for the rule above.
    """

    def __init__(self, img_size: int = 224, resized: int | None = None) -> None:
        rule = int(RESIZED * img_size) if img_size <= UNCUT else img_size
        self.size, self.shorter = img_size, resized or rule
        if self.shorter < img_size:
            raise ValueError(f'CentreView: resized={resized} is below img_size={img_size}')

    def __call__(self, picture: Image.Image) -> Tensor:
        width, height = picture.size
        short = min(width, height)
        # The longer side is cut to whole pixels, as torchvision does.
        sides = int(self.shorter * width / short), int(self.shorter * height / short)
        if sides != picture.size:
            picture = picture.resize(sides, Image.Resampling.BICUBIC)
        left, top = round((sides[0] - self.size) / 2), round((sides[1] - self.size) / 2)
        return channels_first(picture.crop((left, top, left + self.size, top + self.size)))


def channels_first(picture: Image.Image) -> Tensor:
    """RGB -> (3, H, W) uint8."""
    return torch.from_numpy(np.array(picture, dtype=np.uint8)).permute(2, 0, 1).contiguous()
