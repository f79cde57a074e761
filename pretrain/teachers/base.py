"""What every teacher is: an image in [0, 1] to patch features, with a resolution of its own."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from pretrain.images.preprocessor import IMAGENET_MEAN, IMAGENET_STD, Normalise

Grid = tuple[int, int]


class Features(NamedTuple):
    """patches (B, N, T), raster order; whole (B, T), of the image as a whole, or None."""

    patches: Tensor
    whole: Tensor | None = None


class Teacher(nn.Module):
    """image (B, 3, H, W) in [0, 1], RGB -> `Features`.

    Args:
        input_size: side in pixels of what the network sees; images of another size are resized
            (bicubic, antialiased).
        mean, std: per channel, of images in [0, 1].

    Attributes:
        embed_dim: T.
        grid: (h, w), N = h * w, of an input of `input_size`.
        whole: whether features of the whole image come beside.
    """

    embed_dim: int
    grid: Grid
    whole = False

    def __init__(
        self,
        input_size: int,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.normalise = Normalise(mean, std)

    def forward(self, image: Tensor) -> Features:
        return self.features(self.prepare(image))

    def prepare(self, image: Tensor) -> Tensor:
        """What the network sees: resized, normalised."""
        side = (self.input_size, self.input_size)
        if tuple(image.shape[-2:]) != side:
            image = F.interpolate(image, side, mode='bicubic', antialias=True).clamp(0, 1)
        return self.normalise(image)

    @abstractmethod
    def features(self, image: Tensor) -> Features:
        """image (B, 3, S, S) normalised."""
