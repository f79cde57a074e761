"""Pixels as a network wants them: (x - mean) / std, by default of ImageNet's."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Normalise(nn.Module):
    """RGB (B, 3, H, W) -> (x - mean) / std, as one consumer wants it; never saved.

    Args:
        mean, std: per channel, of images in [0, 1].
        white: the value of a white pixel: 1, or 255 of uint8 images.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        white: float = 1.0,
    ) -> None:
        super().__init__()
        for name, values in (('mean', mean), ('std', std)):
            scaled = white * torch.tensor(values).view(-1, 1, 1)
            self.register_buffer(name, scaled, persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        return (image - self.mean) / self.std

    def undo(self, image: Tensor) -> Tensor:
        """Inverse."""
        return image * self.std + self.mean
