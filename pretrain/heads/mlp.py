"""SimMIM's two-layer head (arXiv 2111.09886, section 4.1.2)."""

import torch.nn as nn
from torch import Tensor

from pretrain.registry import MODELS


@MODELS.register_module()
class MLPHead(nn.Module):
    """(B, D, h, w) -> (B, C, h * s, w * s): linear, GELU, linear, spread out.

    The hidden layer is as wide as the features: with Swin-B this gives the 90.9M parameters that
    the paper reports for encoder and head; the released code has no such head.

    Args:
        in_dim, stride, channels: filled in by `pretrain.heads.wiring`.
        hidden: width of the hidden layer; default D.
    """

    def __init__(self, in_dim: int, stride: int, channels: int, hidden: int | None = None) -> None:
        super().__init__()
        hidden = hidden or in_dim
        self.hidden = nn.Conv2d(in_dim, hidden, 1)
        self.act = nn.GELU()
        self.project = nn.Conv2d(hidden, stride**2 * channels, 1)
        self.spread = nn.PixelShuffle(stride)

    def forward(self, feature: Tensor) -> Tensor:
        return self.spread(self.project(self.act(self.hidden(feature))))
