"""What an image is from here on: RGB in [0, 1]; whoever looks at one normalises it for itself."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn as nn
from mmengine.model import BaseDataPreprocessor
from torch import Tensor

from pretrain.registry import MODELS

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@MODELS.register_module()
class ImagePreprocessor(BaseDataPreprocessor):
    """Moves what a model takes of a batch to its device; uint8 images become float32 in [0, 1]."""

    known = ('image', 'mask', 'target_image', 'target_ids')

    def __init__(self) -> None:
        super().__init__(non_blocking=True)

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Tensor]:
        """What is there of image, target_image (B, 3, H, W) uint8, mask bool, target_ids int64."""
        batch = self.cast_data({key: data[key] for key in self.known if key in data})
        return {k: to_unit(v) if v.dtype == torch.uint8 else v for k, v in batch.items()}


def to_unit(image: Tensor) -> Tensor:
    """uint8 -> float32 in [0, 1]."""
    return image.float() / 255


def to_uint8(image: Tensor) -> Tensor:
    """Inverse of `to_unit`, of values outside of [0, 1] too."""
    return (image.float() * 255).round().clamp(0, 255).to(torch.uint8)


class Normalise(nn.Module):
    """RGB (B, 3, H, W) in [0, 1] -> (x - mean) / std, as one consumer wants it; never saved.

    Args:
        mean, std: per channel.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, mean: Sequence[float] = IMAGENET_MEAN, std: Sequence[float] = IMAGENET_STD
    ) -> None:
        super().__init__()
        for name, values in (('mean', mean), ('std', std)):
            self.register_buffer(name, torch.tensor(values).view(-1, 1, 1), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        return (image - self.mean) / self.std

    def undo(self, image: Tensor) -> Tensor:
        """Normalised -> [0, 1]."""
        return image * self.std + self.mean
