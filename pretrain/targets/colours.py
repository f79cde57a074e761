"""Colours as classes (arXiv 2111.09886, section 4.1.4).

ColourBins      each channel sorted into equal bins, 8 or 256
ColourClusters  the nearest colour of a palette; image-gpt's has 512
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from mim_backbones.errors import UserError
from pretrain.registry import MODELS
from pretrain.targets.base import Wanted, files_in
from pretrain.targets.palette import read_palette
from pretrain.targets.pixels import ReducedTarget

PIXELS_AT_ONCE = 1 << 16  # distances to 512 colours then take 128 MB


@MODELS.register_module()
class ColourBins(ReducedTarget):
    """RGB (B, 3, H, W) in [0, 1] -> ids (B, 3, H/r, W/r) in [0, bins).

    A head of full resolution needs 3 * bins numbers per pixel, at stride 32 and 256 bins 786432
    per token: reduce the image with `reduce`.

    Args:
        bins: bins per channel.
        reduce: r; the bins are those of the mean of r x r pixels.

    Raises:
        ValueError: fewer than two bins, or `reduce` no whole number.
    """

    kind = 'ids'

    def __init__(self, bins: int = 8, reduce: int = 1) -> None:
        super().__init__(reduce)
        if bins < 2:
            raise ValueError(f'ColourBins: bins={bins}; give at least 2')
        self.bins = bins
        self.width = 3 * bins

    def forward(self, image: Tensor) -> Wanted:
        # Of 255 and not 256 levels: with 8 or 256 bins no level lies on an edge between two, so
        # that rounding moves none. It can move those on an edge, which a number of bins with a
        # factor 3, 5 or 17 has (51: each fifth level), and so can means of several pixels: they
        # lie as near to the one bin as to the other.
        ids = (self.means(image) * self.bins).floor()
        return Wanted(ids.clamp(0, self.bins - 1).long())

    def pixels(self, pred: Tensor, image: Tensor) -> Tensor:
        """The centre of each channel's most likely bin."""
        ids = pred.unflatten(1, (3, self.bins)).argmax(2)
        return (ids + 0.5) / self.bins


@MODELS.register_module()
class ColourClusters(ReducedTarget):
    """RGB (B, 3, H, W) in [0, 1] -> ids (B, H/r, W/r) of the nearest colour.

    512 colours at full resolution are 524288 numbers per token of stride 32: reduce the image.

    Args:
        palette: a palette file (see `pretrain.targets.palette`), or a number: so many colours,
            which the weights of a checkpoint then fill in; until they have, there is no target.
        reduce: r; the colours are those of the mean of r x r pixels.

    Raises:
        ValueError: `reduce` is no whole number, or a palette of fewer than two colours.
        UserError: the file is no palette, or at the first image: the number was never filled in.
    """

    kind = 'ids'
    palette: Tensor

    def __init__(self, palette: str | int, reduce: int = 1) -> None:
        super().__init__(reduce)
        empty = isinstance(palette, int)
        if empty and palette < 2:
            raise ValueError(f'ColourClusters: palette={palette}; give a file, or 2 or more')
        colours = torch.zeros(palette, 3) if empty else torch.from_numpy(read_palette(palette))
        # In the state dict: a checkpoint draws its predictions without the file.
        self.register_buffer('palette', colours)
        self.filled = not empty
        self.width = len(colours)
        self.files = files_in(palette)

    @classmethod
    def without_files(cls, config: dict[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
        return {**config, 'palette': facts.get('width', config['palette'])}

    def forward(self, image: Tensor) -> Wanted:
        image = self.means(image)
        with torch.autocast(image.device.type, enabled=False):
            flat = image.float().movedim(1, -1).flatten(0, -2)
            ids = torch.cat([self.nearest(part) for part in flat.split(PIXELS_AT_ONCE)])
        return Wanted(ids.view(len(image), *image.shape[2:]))

    def nearest(self, colours: Tensor) -> Tensor:
        """(N, 3) -> (N,) int64; the earlier colour where two are equally near."""
        palette = self.filled_palette()
        # |x - c|^2 without |x|^2, which is the same for all c.
        return (palette.square().sum(1) - 2 * colours @ palette.T).argmin(1)

    def pixels(self, pred: Tensor, image: Tensor) -> Tensor:
        """The most likely colour."""
        return self.filled_palette()[pred.argmax(1)].movedim(-1, 1)

    def filled_palette(self) -> Tensor:
        """The colours; UserError while nothing has filled them in."""
        if not self.filled:
            # Looked at until it is there and then never again: looking waits for the device.
            self.filled = bool(self.palette.any())
        if not self.filled:
            raise UserError(
                f'ColourClusters: palette={len(self.palette)} is a number of colours without the '
                'colours, as for loading a checkpoint; give a palette file: '
                'mimbench palette IMAGES --out palette.json'
            )
        return self.palette
