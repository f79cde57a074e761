"""uint8 crops become normalised floats on the device: a quarter of the bytes travel."""

import torch
from mmengine.model import BaseDataPreprocessor

from downstream.registry import MODELS

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@MODELS.register_module()
class CropPreprocessor(BaseDataPreprocessor):
    """Batches of crops, (B, 3, S, S) uint8 RGB -> float32, (x / 255 - mean) / std.

    Args:
        mean, std: per channel, of images in [0, 1].
    """

    def __init__(
        self,
        mean: tuple[float, ...] = IMAGENET_MEAN,
        std: tuple[float, ...] = IMAGENET_STD,
    ) -> None:
        super().__init__(non_blocking=True)
        self.register_buffer('mean', 255 * torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer('std', 255 * torch.tensor(std).view(3, 1, 1), persistent=False)

    def forward(self, data: dict, training: bool = False) -> dict:
        """Normalise `inputs` where it is a dict of crops; whole sequences pass through."""
        data = self.cast_data(data)
        if isinstance(data['inputs'], dict):
            data['inputs'] = {name: self.normalise(x) for name, x in data['inputs'].items()}
        return data

    def normalise(self, crops: torch.Tensor) -> torch.Tensor:
        """(B, 3, S, S) uint8, any device -> float32 on the preprocessor's."""
        return (crops.to(self.mean.device, non_blocking=True) - self.mean) / self.std
