"""Pre-norm transformer block: windowed or global attention, then an MLP."""

from typing import Any

import torch
import torch.nn as nn
from timm.layers import DropPath
from torch import Tensor
from torch.utils.checkpoint import checkpoint as recompute

from mim_backbones.backbones.layers.attention import Attention
from mim_backbones.backbones.layers.mlp import make_mlp
from mim_backbones.backbones.layers.rel_pos_bias import RelPosBias
from mim_backbones.backbones.layers.rope import Rotation
from mim_backbones.backbones.layers.windows import window_partition, window_unpartition

Grid = tuple[int, int]


class Block(nn.Module):
    """x + drop_path(gamma_1 * attn(norm1(x))), then the same with the MLP.

    Args:
        mlp, act, mlp_norm: see `layers.mlp`.
        qk_norm, attn_norm, attn_drop: `qk_norm`, `out_norm` and `drop` of `Attention`.
        layer_scale: start value of gamma_1 and gamma_2; None leaves them out.
        rel_pos_bias: a table of this block's own, or None.
        window_size: side of the attention windows in tokens; 0 attends globally.
        decomposed_grid: see `Attention`.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        mlp_ratio: float = 4.0,
        mlp: str = 'plain',
        act: str = 'gelu',
        mlp_norm: bool = False,
        qkv_bias: str = 'joint',
        qk_norm: bool = False,
        attn_norm: bool = False,
        drop_path: float = 0.0,
        attn_drop: float = 0.0,
        layer_scale: float | None = None,
        norm_eps: float = 1e-6,
        rel_pos_bias: RelPosBias | None = None,
        window_size: int = 0,
        decomposed_grid: Grid | None = None,
    ) -> None:
        super().__init__()
        self.window_size = window_size
        self.norm1 = nn.LayerNorm(dim, eps=norm_eps)
        self.attn = Attention(
            dim, num_heads, qkv_bias, decomposed_grid, qk_norm, attn_norm, norm_eps, attn_drop
        )
        self.rel_pos_bias = rel_pos_bias
        self.norm2 = nn.LayerNorm(dim, eps=norm_eps)
        hidden = int(dim * mlp_ratio)
        self.mlp = make_mlp(mlp, dim, hidden, act, norm_eps if mlp_norm else None)
        self.drop_path = DropPath(drop_path) if drop_path else nn.Identity()
        self.gamma_1 = self.gamma_2 = None
        if layer_scale is not None:
            self.gamma_1 = nn.Parameter(torch.full((dim,), layer_scale))
            self.gamma_2 = nn.Parameter(torch.full((dim,), layer_scale))

    def forward(
        self,
        x: Tensor,
        grid: Grid | None,
        bias: Tensor | None = None,
        rope: Rotation | None = None,
    ) -> Tensor:
        """x (B, N, D), tokens of `grid` after any prefix tokens; bias (heads, N, N), shared.

        rope: of the tokens this block attends over, those of a window where it has windows.
        grid is None for tokens that form no grid (two images joined, visible tokens only).
        """
        x = self.attended(x, grid, bias, rope)
        return x + self.drop_path(self.mlp_branch(x))

    def attended(
        self, x: Tensor, grid: Grid | None, bias: Tensor | None, rope: Rotation | None
    ) -> Tensor:
        """The first half of the block; arguments as of all of it."""
        if self.rel_pos_bias is not None and grid is not None:
            own = self.rel_pos_bias(grid)
            bias = own if bias is None else bias + own
        return x + self.drop_path(
            scaled(self._attend(self.norm1(x), grid, bias, rope), self.gamma_1)
        )

    def mlp_branch(self, x: Tensor) -> Tensor:
        """What the second half adds to its input x."""
        return scaled(self.mlp(self.norm2(x)), self.gamma_2)

    def _attend(
        self, x: Tensor, grid: Grid | None, bias: Tensor | None, rope: Rotation | None
    ) -> Tensor:
        if not self.window_size:
            return self.attn(x, bias, grid, rope)
        assert grid is not None, 'windows need a grid'
        size = self.window_size
        windows, padded = window_partition(x.unflatten(1, grid), size)
        windows = self.attn(windows, bias, (size, size), rope)
        return window_unpartition(windows, size, padded, grid).flatten(1, 2)


def scaled(branch: Tensor, gamma: Tensor | None) -> Tensor:
    """The residual branch times its layer scale (D,), if there is one."""
    return branch if gamma is None else gamma * branch


def run_block(block: nn.Module, recomputed: bool, x: Tensor, *context: Any) -> Tensor:
    """block(x, *context), whose inner values are kept for the backward pass or computed again."""
    if recomputed and x.requires_grad:
        return recompute(block, x, *context, use_reentrant=False)
    return block(x, *context)


@torch.no_grad()
def shrink_outputs(block: Any, number: int) -> None:
    """Divide what the branches of block `number` (from 1) add to the stream by sqrt(2 number), as
    released with BEiT and SimMIM.

    block: has attn.proj and mlp.fc2, in every family with pre-norm blocks.
    """
    block.attn.proj.weight.div_((2 * number) ** 0.5)
    block.mlp.fc2.weight.div_((2 * number) ** 0.5)


def rising_rates(last: float, depth: int) -> list[float]:
    """Drop path rates of `depth` blocks, rising linearly from 0 to `last`."""
    return [last * i / max(depth - 1, 1) for i in range(depth)]
