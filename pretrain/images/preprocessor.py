"""What an image is from here on: RGB in [0, 1]; whoever looks at one normalises it for itself."""

from typing import Any

import torch
from mmengine.model import BaseDataPreprocessor
from torch import Tensor

from pretrain.registry import MODELS


@MODELS.register_module()
class ImagePreprocessor(BaseDataPreprocessor):
    """Moves what a model takes of a batch to its device; uint8 images become float32 in [0, 1]."""

    known = ('image', 'second_image', 'mask', 'target_image', 'target_ids', 'target_features')

    def __init__(self) -> None:
        super().__init__(non_blocking=True)

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Tensor]:
        """What is there of the images (B, 3, H, W) uint8, mask bool and what is on file."""
        batch = self.cast_data({key: data[key] for key in self.known if key in data})
        return {k: to_unit(v) if v.dtype == torch.uint8 else v for k, v in batch.items()}


def to_unit(image: Tensor) -> Tensor:
    """uint8 -> float32 in [0, 1]."""
    return image.float() / 255


def to_uint8(image: Tensor) -> Tensor:
    """Inverse of `to_unit`, of values outside of [0, 1] too."""
    return (image.float() * 255).round().clamp(0, 255).to(torch.uint8)
