"""SimMIM's one-layer head: a 1x1 convolution, then each token spread out to its positions."""

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
