"""SimMIM's light heads: 1x1 convolutions, then each token spread out to its positions."""

import torch.nn as nn
from torch import Tensor

from pretrain.registry import MODELS


@MODELS.register_module()
class PixelShuffleHead(nn.Module):
    """(B, D, h, w) -> (B, C, h * s, w * s). `pretrain.heads.wiring` fills in all three sizes.

    Args:
        in_dim: width D of the features.
        stride: s, positions of the target per token and side.
        channels: C, what the target wants at each position.
    """

    def __init__(self, in_dim: int, stride: int, channels: int = 3) -> None:
        super().__init__()
        self.project = nn.Conv2d(in_dim, stride**2 * channels, 1)
        self.spread = nn.PixelShuffle(stride)

    def forward(self, feature: Tensor) -> Tensor:
        return self.spread(self.project(feature))


@MODELS.register_module()
class MLPHead(nn.Module):
    """(B, D, h, w) -> (B, C, h * s, w * s): linear, GELU, linear, spread out (section 4.1.2).

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
