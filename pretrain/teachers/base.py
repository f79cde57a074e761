"""What every teacher is: an image in [0, 1] to patch features, with a resolution of its own."""

from abc import abstractmethod

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

Grid = tuple[int, int]
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


class Teacher(nn.Module):
    """image (B, 3, H, W) in [0, 1], RGB -> features (B, N, T), raster order.

    Args:
        input_size: side in pixels of what the network sees; images of another size are resized
            (bicubic, antialiased).
        normalisation: mean and std per channel, of images in [0, 1].

    Attributes:
        embed_dim: T.
        grid: (h, w), N = h * w, of an input of `input_size`.
    """

    embed_dim: int
    grid: Grid

    def __init__(
        self,
        input_size: int,
        normalisation: tuple[tuple[float, ...], tuple[float, ...]] = IMAGENET,
    ) -> None:
        super().__init__()
        self.input_size = input_size
        mean, std = (torch.tensor(values).view(-1, 1, 1) for values in normalisation)
        self.register_buffer('mean', mean, persistent=False)
        self.register_buffer('std', std, persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        return self.features(self.prepare(image))

    def prepare(self, image: Tensor) -> Tensor:
        """What the network sees: resized, normalised."""
        side = (self.input_size, self.input_size)
        if tuple(image.shape[-2:]) != side:
            image = F.interpolate(image, side, mode='bicubic', antialias=True).clamp(0, 1)
        return (image - self.mean) / self.std

    @abstractmethod
    def features(self, image: Tensor) -> Tensor:
        """image (B, 3, S, S) normalised -> (B, N, T)."""
