"""Each colour channel sorted into equal bins (arXiv 2111.09886, section 4.1.4: 8 or 256)."""

import torch.nn.functional as F
from torch import Tensor

from pretrain.registry import MODELS
from pretrain.targets.base import Target, check_reduction


@MODELS.register_module()
class ColourBins(Target):
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
        super().__init__()
        check_reduction('ColourBins', reduce)
        if bins < 2:
            raise ValueError(f'ColourBins: bins={bins}; give at least 2')
        self.bins = bins
        self.channels = 3 * bins
        self.stride = reduce

    def forward(self, image: Tensor) -> Tensor:
        # Of 255 and not 256 levels: with 8 or 256 bins no level lies on an edge between two, so
        # that rounding in (de)normalisation moves none. It can move those on an edge, which a
        # number of bins with a factor 3, 5 or 17 has (51: each fifth level), and so can means of
        # several pixels: they lie as near to the one bin as to the other.
        ids = (F.avg_pool2d(image, self.stride) * self.bins).floor()
        return ids.clamp(0, self.bins - 1).long()

    def pixels(self, pred: Tensor, image: Tensor) -> Tensor:
        """The centre of each channel's most likely bin."""
        ids = pred.unflatten(1, (3, self.bins)).argmax(2)
        return (ids + 0.5) / self.bins
