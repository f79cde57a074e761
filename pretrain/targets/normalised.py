"""Pixels normalised by a sliding window: the later target of SimMIM's authors, used by SwinV2.

y_p = (x_p - mean_p) / sqrt(var_p + 1e-6)        over the k x k window around p, per channel
code: microsoft/Swin-Transformer, models/simmim.py (window 47); no paper states it
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from pretrain.registry import MODELS
from pretrain.targets.base import Target

EPS = 1e-6


@MODELS.register_module()
class NormalisedTarget(Target):
    """(B, 3, H, W) -> the same shape, every pixel in units of its surroundings.

    Not MAE's normalisation by patch: the window is centred on each pixel. What lies outside the
    image counts neither in the means nor in their numbers.

    Args:
        window: k, odd, in pixels.

    Raises:
        ValueError: an even window, or one of a single pixel.
    """

    kind = 'pixels'
    channels = 3
    stride = 1

    def __init__(self, window: int = 47) -> None:
        super().__init__()
        if window % 2 == 0 or window < 3:
            raise ValueError(f'NormalisedTarget: window={window}; give an odd number from 3 up')
        self.window = window

    def forward(self, image: Tensor) -> Tensor:
        mean, std = window_statistics(image, self.window)
        return ((image - mean) / std).to(image.dtype)

    def pixels(self, pred: Tensor, image: Tensor) -> Tensor:
        """The prediction scaled back by what surrounds each pixel of the original."""
        mean, std = window_statistics(image, self.window)
        return (pred * std + mean).to(image.dtype)


def window_statistics(image: Tensor, window: int) -> tuple[Tensor, Tensor]:
    """Mean and sqrt(unbiased variance + 1e-6) of the window around each pixel.

    In float64: a variance as a difference of two means of squares loses in float32 as much as
    flat regions have, where the epsilon is all there is to divide by.

    Returns:
        Two (B, C, H, W) float64.
    """
    image = image.double()
    sums, squares, counts = (
        box_sum(x, window) for x in (image, image.square(), torch.ones_like(image[:1, :1]))
    )
    mean = sums / counts
    variance = (squares / counts - mean.square()) * counts / (counts - 1)
    return mean, (variance.clamp(min=0) + EPS).sqrt()


def box_sum(x: Tensor, window: int) -> Tensor:
    """Sums over k x k windows, cut off at the borders: (B, C, H, W) -> the same.

    Differences of running sums, one axis at a time: the cost does not depend on the window.
    """
    for dim in (-1, -2):
        side = x.shape[dim]
        running = F.pad(x.movedim(dim, -1).cumsum(-1), (1, 0))
        here = torch.arange(side, device=x.device)
        ends = (here + window // 2 + 1).clamp(max=side)
        starts = (here - window // 2).clamp(min=0)
        x = (running[..., ends] - running[..., starts]).movedim(-1, dim)
    return x
