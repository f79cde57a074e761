"""SimMIM's one-layer head: a 1x1 convolution, then patches spread out to pixels."""

import torch.nn as nn
from torch import Tensor

from pretrain.registry import MODELS


@MODELS.register_module()
class PixelShuffleHead(nn.Module):
    """(B, D, H/s, W/s) -> (B, C, H, W).

    Args:
        in_dim: width D of the features.
        stride: s, pixels per token.
        channels: C.
    """

    def __init__(self, in_dim: int, stride: int, channels: int = 3) -> None:
        super().__init__()
        self.project = nn.Conv2d(in_dim, stride**2 * channels, 1)
        self.spread = nn.PixelShuffle(stride)

    def forward(self, feature: Tensor) -> Tensor:
        return self.spread(self.project(feature))
