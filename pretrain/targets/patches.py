"""Pixels by patches, each perhaps normalised by itself: MAE's target.

y = (x - mean_p) / sqrt(var_p + 1e-6)        mean_p, var_p: of all values of the patch, unbiased
paper: arXiv 2111.06377, section 3 (reconstruction target) and Table 1d; facebookresearch/mae
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from mim_backbones.backbones.base import check_option
from mim_backbones.images.normalise import IMAGENET_MEAN, IMAGENET_STD, Normalise
from pretrain.registry import MODELS
from pretrain.targets.base import Student, Target, Wanted, pixel_grid

EPS = 1e-6


@MODELS.register_module()
class PatchTarget(Target):
    """One position per token of the student, with all values of its p x p pixels.

    values: (B, p * p * 3, h, w).

    Args:
        norm_pix: normalise every patch by its own mean and variance.
        channels: where the colour stands among the axes of a position's values: 'last' (row,
            column, colour) as in MAE, 'first' (colour, row, column) as in Hiera's release.
        mean, std: per channel, of images in [0, 1].

    Raises:
        ValueError: no such order.
    """

    kind = 'pixels'
    drawable = True

    def __init__(
        self,
        norm_pix: bool = True,
        channels: str = 'last',
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
    ) -> None:
        super().__init__()
        check_option('PatchTarget', 'channels', channels, ('last', 'first'))
        self.norm_pix = norm_pix
        self.channels = channels
        self.normalise = Normalise(mean, std)

    def bind(self, student: Student) -> None:
        self.stride = student.stride
        self.grid = pixel_grid(self, student)
        self.width = 3 * self.stride**2

    def forward(self, image: Tensor) -> Wanted:
        patches = patchify(self.normalise(image), self.stride, self.channels)
        if self.norm_pix:
            mean, deviation = statistics(patches)
            patches = (patches - mean) / deviation
        return Wanted(patches)

    def pixels(self, pred: Tensor, image: Tensor) -> Tensor:
        """A normalised prediction is scaled back by the patches of the original."""
        pred = pred.float()
        if self.norm_pix:
            mean, deviation = statistics(
                patchify(self.normalise(image), self.stride, self.channels)
            )
            pred = pred * deviation + mean
        return self.normalise.undo(unpatchify(pred, self.stride, self.channels))


def patchify(image: Tensor, side: int, channels: str) -> Tensor:
    """(B, C, H, W) -> (B, C * side * side, H / side, W / side); channels: see `PatchTarget`."""
    patches = F.pixel_unshuffle(image, side)
    if channels == 'first':
        return patches
    return patches.unflatten(1, (-1, side * side)).transpose(1, 2).flatten(1, 2)


def unpatchify(patches: Tensor, side: int, channels: str) -> Tensor:
    """Inverse of `patchify`."""
    if channels == 'last':
        patches = patches.unflatten(1, (side * side, -1)).transpose(1, 2).flatten(1, 2)
    return F.pixel_shuffle(patches, side)


def statistics(patches: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and sqrt(unbiased variance + 1e-6) of each patch, (B, 1, h, w)."""
    variance, mean = torch.var_mean(patches, dim=1, keepdim=True)
    return mean, (variance + EPS).sqrt()
