"""Histograms of oriented gradients: MaskFeat's target.

h(c, b) = sum over the pixels of cell c with floor(9 phi / pi) mod 9 = b of |g|        y = h / |h|_2
    g = (gx, gy): Sobel's gradient of one colour; phi = atan2(gx, gy), so that opposite directions
    share a bin; the norm is over the bins b, for each cell and colour by itself
paper: arXiv 2112.09133, section 3.2 (HOG); facebookresearch/SlowFast has no `window`,
open-mmlab/mmpretrain one of 16 px

A colour's scale falls out of y and its offset out of g: but for rounding, y does not depend on how
an image is normalised.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from mim_backbones.images.normalise import IMAGENET_MEAN, IMAGENET_STD, Normalise
from pretrain.images.preprocessor import to_uint8
from pretrain.registry import MODELS
from pretrain.targets.base import Student, Target, Wanted, pixel_grid


@MODELS.register_module()
class HOGTarget(Target):
    """RGB (B, 3, H, W) in [0, 1] -> (B, 3 * bins * k * k, h, w), one position per student's token.

    A token covers k x k cells; the order is colour, bin, row and column of the cell. What has no
    gradient is zeros.

    Args:
        cell: side of a cell in pixels.
        bins: directions told apart, over half a turn.
        window: side in pixels of the Gaussian weights (deviation: half of it) that are laid over
            the image again and again; None: every pixel counts as much.
        exact: gradients of the 8-bit image, in whole numbers. False takes those of the normalised
            one in float32, as released: where the horizontal gradient is nought, rounding decides
            between the first bin and the last, and turns flat colour into vectors of length 1.
        mean, std: per channel, of images in [0, 1]; matter where `exact` is False.

    Raises:
        ValueError: a size below one; in `bind`: cells do not divide the student's tokens, or
            windows the image.
    """

    kind = 'features'

    def __init__(
        self,
        cell: int = 8,
        bins: int = 9,
        window: int | None = None,
        exact: bool = True,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
    ) -> None:
        super().__init__()
        for name, size in (('cell', cell), ('bins', bins), ('window', window)):
            if size is not None and size < 1:
                raise ValueError(f'HOGTarget: {name}={size}; give 1 or more')
        self.cell, self.bins, self.window, self.exact = cell, bins, window, exact
        self.normalise = Normalise(mean, std)

    def bind(self, student: Student) -> None:
        self.stride = student.stride
        self.grid = pixel_grid(self, student)
        if self.stride % self.cell:
            raise ValueError(
                f'HOGTarget has cells of {self.cell} px, which do not divide the {self.stride} px '
                f'of a token of {student.name}; change model.target.cell'
            )
        if self.window and any(side % self.window for side in student.img_size):
            raise ValueError(
                f'HOGTarget has windows of {self.window} px, which do not divide the '
                f'{student.img_size[0]}x{student.img_size[1]} px of {student.name}; change '
                'model.target.window'
            )
        self.width = 3 * self.bins * (self.stride // self.cell) ** 2

    def forward(self, image: Tensor) -> Wanted:
        with torch.autocast(image.device.type, enabled=False):
            if self.exact:
                gx, gy = whole_gradients(to_uint8(image))
            else:
                gx, gy = released_gradients(self.normalise(image.float()))
            strength = torch.hypot(gx, gy)
            if self.window:
                repeats = (image.shape[-2] // self.window, image.shape[-1] // self.window)
                strength = strength * gaussian(self.window, image.device).repeat(repeats)
            histograms = F.normalize(
                self.sums(strength, torch.atan2(gx, gy) / math.pi * self.bins), dim=2
            )
        return Wanted(F.pixel_unshuffle(histograms.flatten(1, 2), self.stride // self.cell))

    def sums(self, strength: Tensor, direction: Tensor) -> Tensor:
        """(B, 3, H, W) both, direction in bins -> sums by bin (B, 3, bins, H/cell, W/cell).

        Rows of a cell are sorted into bins, its columns added afterwards: nowhere is there a number
        for each pixel and bin.
        """
        rows, turns = (x.unflatten(2, (-1, self.cell)) for x in (strength, direction))
        sums = rows.new_zeros(*rows.shape[:3], self.bins, rows.shape[4])
        sums.scatter_add_(3, turns.floor().remainder(self.bins).long(), rows)
        return sums.unflatten(4, (-1, self.cell)).sum(5).transpose(2, 3)


def whole_gradients(image: Tensor) -> tuple[Tensor, Tensor]:
    """Sobel's gx and gy of uint8 (B, C, H, W), as float32 without rounding; borders are mirrored.

    What stands on the first bin's edge (gx = 0) points downwards: both ends of its line are one.
    """
    padded = F.pad(image.float(), (1, 1, 1, 1), mode='reflect')
    across = padded[..., :-2] - padded[..., 2:]
    gx = across[..., :-2, :] + 2 * across[..., 1:-1, :] + across[..., 2:, :]
    down = padded[..., :-2, :] - padded[..., 2:, :]
    gy = down[..., :-2] + 2 * down[..., 1:-1] + down[..., 2:]
    return gx, torch.where(gx == 0, gy.abs(), gy)


def released_gradients(image: Tensor) -> tuple[Tensor, Tensor]:
    """The same of a float image, by the convolution whose order of sums the releases have."""
    channels = image.shape[1]
    kernel = image.new_tensor([[1, 0, -1], [2, 0, -2], [1, 0, -1]])
    kernels = torch.stack([kernel, kernel.T]).repeat(channels, 1, 1)[:, None]
    padded = F.pad(image, (1, 1, 1, 1), mode='reflect')
    gx, gy = F.conv2d(padded, kernels, groups=channels).unflatten(1, (channels, 2)).unbind(2)
    return gx, gy


def gaussian(side: int, device: torch.device) -> Tensor:
    """(side, side) weights that sum to 1, of deviation side // 2 around the middle."""
    places = torch.arange(side, device=device) - (side - 1) / 2
    line = torch.exp(-0.5 * (places / max(side // 2, 1)).square())
    square = line[:, None] * line
    return square / square.sum()
