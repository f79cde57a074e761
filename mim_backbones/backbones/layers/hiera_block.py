"""Hiera's block (arXiv 2306.00989): attention over mask units or over all, with pooled queries.

Its token layout is (B, U, m, m, C): U square mask units in raster order, m x m tokens in raster
order inside of each. Dropping hidden units, attention inside of a unit and pooling by 2 x 2 are
then plain indexing.
"""

import torch
import torch.nn as nn
import torch.nn.functional as F
from timm.layers import DropPath
from torch import Tensor

from mim_backbones.backbones.layers.mlp import Mlp


class MaskUnitAttention(nn.Module):
    """Self-attention over (B, U, m, m, C), inside of each unit or over all tokens.

    Args:
        dim, dim_out: width of the tokens that come and that go.
        within_units: whether a token attends to its own mask unit only.
        pooled: whether the queries, and with them the output, are pooled by 2 x 2.
    """

    def __init__(
        self, dim: int, dim_out: int, num_heads: int, within_units: bool, pooled: bool
    ) -> None:
        super().__init__()
        if dim_out % num_heads:
            raise ValueError(
                f'MaskUnitAttention: num_heads {num_heads} does not divide width {dim_out}'
            )
        self.num_heads = num_heads
        self.within_units = within_units
        self.pooled = pooled
        self.qkv = nn.Linear(dim, 3 * dim_out)
        self.proj = nn.Linear(dim_out, dim_out)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, U, m, m, dim) -> (B, U, m, m, dim_out), m halved when pooled."""
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        if self.pooled:
            q = pool_units(q)
        heads = self._heads
        attended = F.scaled_dot_product_attention(heads(q), heads(k), heads(v))
        return self.proj(attended.transpose(1, 2).reshape(q.shape))

    def logits(self, x: Tensor) -> Tensor:
        """What the softmax of `forward` is of: (B', heads, N, K), in float32 under any autocast.

        N queries, fewer where they are pooled, of K keys; where attention stays within units, these
        lie beside the images: B' = B * U. Values are not made.
        """
        end = self.qkv.out_features // 3 * 2
        q, k = F.linear(x, self.qkv.weight[:end], self.qkv.bias[:end]).chunk(2, dim=-1)
        if self.pooled:
            q = pool_units(q)
        q, k = self._heads(q), self._heads(k)
        with torch.autocast(x.device.type, enabled=False):
            return (q.float() * q.shape[-1] ** -0.5) @ k.float().transpose(-2, -1)

    def _heads(self, x: Tensor) -> Tensor:
        """(B, U, m, m, D) -> (B', heads, N, d), B' = B * U when attention stays within units."""
        x = x.flatten(0, 1) if self.within_units else x.flatten(1, 2)
        return x.flatten(1, 2).unflatten(2, (self.num_heads, -1)).transpose(1, 2)


class HieraBlock(nn.Module):
    """x + attn(norm1(x)), then the same with the MLP; pre-norm, with drop path.

    Where the width grows, the shortcut is a projection of norm1(x), pooled as the queries are.
    """

    def __init__(
        self,
        dim: int,
        dim_out: int,
        num_heads: int,
        within_units: bool,
        pooled: bool,
        mlp_ratio: float = 4.0,
        drop_path: float = 0.0,
        norm_eps: float = 1e-6,
    ) -> None:
        super().__init__()
        self.pooled = pooled
        self.norm1 = nn.LayerNorm(dim, eps=norm_eps)
        self.proj = nn.Linear(dim, dim_out) if dim != dim_out else None
        self.attn = MaskUnitAttention(dim, dim_out, num_heads, within_units, pooled)
        self.norm2 = nn.LayerNorm(dim_out, eps=norm_eps)
        self.mlp = Mlp(dim_out, int(dim_out * mlp_ratio))
        self.drop_path = DropPath(drop_path) if drop_path else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """x (B, U, m, m, dim) -> (B, U, m, m, dim_out), m halved when pooled."""
        normed = self.norm1(x)
        if self.proj is not None:
            x = self.proj(normed)
            x = pool_units(x) if self.pooled else x
        x = x + self.drop_path(self.attn(normed))
        return x + self.drop_path(self.mlp(self.norm2(x)))


Grid = tuple[int, int]


def to_units(maps: Tensor, side: int) -> Tensor:
    """(B, C, H, W) -> (B, U, side, side, C); H and W are multiples of side."""
    batch, channels, height, width = maps.shape
    units = maps.view(batch, channels, height // side, side, width // side, side)
    return units.permute(0, 2, 4, 3, 5, 1).reshape(batch, -1, side, side, channels)


def from_units(units: Tensor, grid: Grid) -> Tensor:
    """Inverse of `to_units`: (B, U, m, m, C), units of `grid` -> (B, C, rows * m, columns * m)."""
    batch, _, side, _, channels = units.shape
    rows, columns = grid
    maps = units.reshape(batch, rows, columns, side, side, channels).permute(0, 5, 1, 3, 2, 4)
    return maps.reshape(batch, channels, rows * side, columns * side)


def pool_units(units: Tensor) -> Tensor:
    """Maximum of 2 x 2 tokens: (B, U, m, m, C) -> (B, U, m/2, m/2, C)."""
    return units.unflatten(3, (-1, 2)).unflatten(2, (-1, 2)).amax(dim=(3, 5))
