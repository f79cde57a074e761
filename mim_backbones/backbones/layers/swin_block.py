"""Swin's block and stage: attention in windows, shifted in every other block, then an MLP."""

import torch.nn as nn
import torch.nn.functional as F
from timm.layers import DropPath
from torch import Tensor

from mim_backbones.backbones.layers.mlp import Mlp
from mim_backbones.backbones.layers.patches import PatchMerging
from mim_backbones.backbones.layers.window_attention import CosineWindowAttention, WindowAttention
from mim_backbones.backbones.layers.windows import Grid, WindowPlan, padded_grid, shift_mask


class SwinBlock(nn.Module):
    """V1: x + attn(norm1(x)), then x + mlp(norm2(x)). V2: the norms come after the branches.

    Args:
        dim: width C.
        num_heads: attention heads.
        window_size: window side of the bias table (V1) or of pre-training (V2; 0: as run).
        shifted: whether this block shifts the windows.
        version: 1 or 2.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        window_size: int,
        shifted: bool,
        version: int,
        mlp_ratio: float,
        qkv_bias: bool,
        drop_path: float,
        norm_eps: float,
    ) -> None:
        super().__init__()
        self.shifted = shifted
        self.norm_first = version == 1
        self.norm1 = nn.LayerNorm(dim, eps=norm_eps)
        if version == 1:
            bias = 'joint' if qkv_bias else 'none'
            self.attn = WindowAttention(dim, num_heads, window_size, bias)
        else:
            bias = 'qv' if qkv_bias else 'none'
            self.attn = CosineWindowAttention(dim, num_heads, window_size, bias)
        self.norm2 = nn.LayerNorm(dim, eps=norm_eps)
        self.mlp = Mlp(dim, int(dim * mlp_ratio))
        self.drop_path = DropPath(drop_path) if drop_path else nn.Identity()

    def forward(self, x: Tensor, plan: WindowPlan, mask: Tensor | None) -> Tensor:
        """x (B, H, W, C); mask: the stage's shift mask, used when this block shifts."""
        if self.norm_first:
            x = x + self.drop_path(self._attend(self.norm1(x), plan, mask))
            return x + self.drop_path(self.mlp(self.norm2(x)))
        x = x + self.drop_path(self.norm1(self._attend(x, plan, mask)))
        return x + self.drop_path(self.norm2(self.mlp(x)))

    def logits(self, x: Tensor, plan: WindowPlan) -> Tensor:
        """Logits of the attention, (B * windows, heads, N, N) float32; x as in `forward`.

        Tokens that a shift brings together from opposite borders are related as any.
        """
        x, shift = self._laid_out(self.norm1(x) if self.norm_first else x, plan)
        return self.attn.window_logits(x.roll((-shift, -shift), (1, 2)), plan.size)

    def _attend(self, x: Tensor, plan: WindowPlan, mask: Tensor | None) -> Tensor:
        height, width = x.shape[1:3]
        x, shift = self._laid_out(x, plan)
        if not shift:
            return self.attn(x, plan.size, None)[:, :height, :width]
        x = x.roll((-shift, -shift), (1, 2))
        x = self.attn(x, plan.size, mask)
        return x.roll((shift, shift), (1, 2))[:, :height, :width]

    def _laid_out(self, x: Tensor, plan: WindowPlan) -> tuple[Tensor, int]:
        """A map filled up to whole windows, and by how much this block shifts it."""
        grid = (x.shape[1], x.shape[2])
        padded = padded_grid(grid, plan.size)
        if padded != grid:
            x = F.pad(x, (0, 0, 0, padded[1] - grid[1], 0, padded[0] - grid[0]))
        return x, plan.shift if self.shifted else 0


class SwinStage(nn.Module):
    """Blocks of one resolution, and the merging that follows them (none after the last stage).

    The backbone runs the blocks one by one, so that it can return any of them and recompute them.
    """

    def __init__(self, blocks: list[SwinBlock], downsample: PatchMerging | None) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.downsample = downsample

    def shift_mask(self, grid: Grid, plan: WindowPlan, x: Tensor) -> Tensor | None:
        """The mask its shifted blocks share on this grid; None when nothing shifts."""
        if not plan.shift or len(self.blocks) < 2:
            return None
        return shift_mask(padded_grid(grid, plan.size), plan, x.device)
