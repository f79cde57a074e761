"""Patch merging of Swin: 2 x 2 tokens become one of twice the width."""

import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor


class PatchMerging(nn.Module):
    """(B, H, W, C) -> (B, ceil(H/2), ceil(W/2), 2C); odd maps are padded with zeros.

    Args:
        dim: width C.
        norm_first: V1 normalises the 4C joined channels, V2 the 2C reduced ones.
        norm_eps: epsilon of the norm.
    """

    def __init__(self, dim: int, norm_first: bool, norm_eps: float) -> None:
        super().__init__()
        self.norm_first = norm_first
        self.norm = nn.LayerNorm(4 * dim if norm_first else 2 * dim, eps=norm_eps)
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[1:3]
        if height % 2 or width % 2:
            x = F.pad(x, (0, 0, 0, width % 2, 0, height % 2))
        x = x.unflatten(2, (-1, 2)).unflatten(1, (-1, 2))  # (B, H/2, row, W/2, column, C)
        # Published order of the four: rows vary fastest, (0,0), (1,0), (0,1), (1,1).
        x = x.permute(0, 1, 3, 4, 2, 5).flatten(3)
        return self.reduction(self.norm(x)) if self.norm_first else self.norm(self.reduction(x))
