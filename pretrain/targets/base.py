"""What every target answers: its kind, its width, its resolution, and how its predictions look."""

from abc import abstractmethod

import torch.nn as nn
from torch import Tensor

from mim_backbones.errors import UserError


class Target(nn.Module):
    """Image -> what the head must predict; no gradient, no randomness.

    `kind` says both what comes out and what goes in:

        'pixels'  image (B, 3, H, W) normalised as the backbone sees it -> (B, C, h, w) float
        'ids'     image (B, 3, H, W) RGB in [0, 1] -> (B, h, w) or (B, G, h, w) int64, G groups

    Attributes:
        channels: what the head gives at each position: C, or G times the number of classes.
        stride: image pixels per position and side, H / h.
        drawable: whether `pixels` can turn predictions into colours.
    """

    kind: str
    channels: int
    stride: int
    drawable = True

    @abstractmethod
    def forward(self, image: Tensor) -> Tensor:
        """See the class."""

    def pixels(self, pred: Tensor, image: Tensor) -> Tensor:
        """Predictions (B, channels, h, w) as colours (B, 3, h, w), scaled as `image` is.

        Raises:
            UserError: this kind of prediction has no colours.
        """
        raise UserError(
            f'{type(self).__name__}: its predictions are no colours, so there is nothing to draw'
        )


def check_reduction(name: str, reduce: int) -> None:
    """Raises ValueError when `reduce` is no whole factor."""
    if reduce < 1 or int(reduce) != reduce:
        raise ValueError(f'{name}: reduce={reduce!r}; give a whole number of pixels, 1 for none')
