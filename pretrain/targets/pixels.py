"""The image itself, at full or reduced resolution (arXiv 2111.09886, section 3.4)."""

import torch.nn.functional as F
from torch import Tensor

from pretrain.registry import MODELS
from pretrain.targets.base import Target, check_reduction


@MODELS.register_module()
class PixelTarget(Target):
    """Normalised pixels (B, C, H, W) -> (B, C, H/r, W/r), the means of r x r squares.

    The paper predicts 192 px images at 6^2 to 192^2, r = 32 to 1, without saying how it reduces
    them; a mean of areas is our reading.

    Args:
        reduce: r.
        channels: C.
    """

    kind = 'pixels'

    def __init__(self, reduce: int = 1, channels: int = 3) -> None:
        super().__init__()
        check_reduction('PixelTarget', reduce)
        self.stride = reduce
        self.channels = channels

    def forward(self, image: Tensor) -> Tensor:
        return image if self.stride == 1 else F.avg_pool2d(image, self.stride)

    def pixels(self, pred: Tensor, image: Tensor) -> Tensor:
        return pred
