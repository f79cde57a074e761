"""The nearest colour of a palette (arXiv 2111.09886, section 4.1.4; palette: image-gpt's 512)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from mim_backbones.errors import UserError
from pretrain.registry import MODELS
from pretrain.targets.base import Target, check_reduction
from pretrain.targets.palette import read_palette

PIXELS_AT_ONCE = 1 << 16  # distances to 512 colours then take 128 MB


@MODELS.register_module()
class ColourClusters(Target):
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
        super().__init__()
        check_reduction('ColourClusters', reduce)
        empty = isinstance(palette, int)
        if empty and palette < 2:
            raise ValueError(f'ColourClusters: palette={palette}; give a file, or 2 or more')
        colours = torch.zeros(palette, 3) if empty else torch.from_numpy(read_palette(palette))
        # In the state dict: a checkpoint draws its predictions without the file.
        self.register_buffer('palette', colours)
        self.filled = not empty
        self.channels = len(colours)
        self.stride = reduce

    def forward(self, image: Tensor) -> Tensor:
        image = F.avg_pool2d(image, self.stride)
        with torch.autocast(image.device.type, enabled=False):
            flat = image.float().movedim(1, -1).flatten(0, -2)
            ids = torch.cat([self.nearest(part) for part in flat.split(PIXELS_AT_ONCE)])
        return ids.view(len(image), *image.shape[2:])

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
