"""uint8 batches become normalised floats on the device they are used on."""

from typing import Any

import torch
from mmengine.model import BaseDataPreprocessor
from torch import Tensor

from pretrain.registry import MODELS


@MODELS.register_module()
class ImagePreprocessor(BaseDataPreprocessor):
    """Move a batch to the device and normalise its images; ImageNet statistics by default.

    Args:
        mean, std: per channel (RGB), in units of 0..255.
    """

    def __init__(
        self,
        mean: tuple[float, ...] = (123.675, 116.28, 103.53),
        std: tuple[float, ...] = (58.395, 57.12, 57.375),
    ) -> None:
        super().__init__(non_blocking=True)
        self.register_buffer('mean', torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer('std', torch.tensor(std).view(-1, 1, 1), persistent=False)

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Tensor]:
        """image (B, 3, H, W) uint8, perhaps mask (B, h, w) bool -> the same, image float32."""
        batch = self.cast_data({key: data[key] for key in ('image', 'mask') if key in data})
        return {**batch, 'image': self.normalise(batch['image'])}

    def normalise(self, image: Tensor) -> Tensor:
        return (image.float() - self.mean) / self.std

    def unit(self, image: Tensor) -> Tensor:
        """Normalised -> RGB in [0, 1]."""
        return (image.float() * self.std + self.mean) / 255

    def denormalise(self, image: Tensor) -> Tensor:
        """Inverse of `normalise`, to uint8."""
        return (image.float() * self.std + self.mean).round().clamp(0, 255).to(torch.uint8)
