"""Patch splitting: the way back of Swin's patch merging, one token becomes 2 x 2 of half width."""

import torch.nn as nn
from torch import Tensor


class PatchSplitting(nn.Module):
    """(B, H, W, C) -> (B, 2H, 2W, C/2).

    As many weights as the merging it mirrors: a linear layer C -> 2C without bias, cut into four
    tokens, then a norm.

    Args:
        dim: width C.
        norm_eps: epsilon of the norm.
    """

    def __init__(self, dim: int, norm_eps: float) -> None:
        super().__init__()
        self.expansion = nn.Linear(dim, 2 * dim, bias=False)
        self.norm = nn.LayerNorm(dim // 2, eps=norm_eps)

    def forward(self, x: Tensor) -> Tensor:
        x = self.expansion(x).unflatten(-1, (2, 2, -1))  # (B, H, W, row, column, C/2)
        x = x.permute(0, 1, 3, 2, 4, 5).flatten(3, 4).flatten(1, 2)
        return self.norm(x)
