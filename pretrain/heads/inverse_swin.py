"""SimMIM's heavy heads: a Swin run backwards (arXiv 2111.09886, section 4.1.2).

features -> linear -> 4 stages of blocks, the last first, 2 x 2 splitting between them
         -> norm -> linear -> spread out

The paper names "inverse Swin-T" and "inverse Swin-B" and their sizes; neither the layout nor the
code is published, so this one is our reading.
"""

import torch.nn as nn
from timm.layers import trunc_normal_
from torch import Tensor

from mim_backbones.backbones.archs import SwinSize, swin_size
from mim_backbones.backbones.layers.patches import PatchSplitting
from mim_backbones.backbones.layers.swin_block import SwinBlock
from mim_backbones.backbones.layers.windows import padded_grid, plan_windows, shift_mask
from pretrain.registry import MODELS


@MODELS.register_module()
class InverseSwinHead(nn.Module):
    """(B, D, h, w) -> (B, C, h * s, w * s) through maps of h, 2h, 4h and 8h.

    Features of stride 32 come out at stride 4, Swin's own finest map; those of a ViT, stride 16,
    at stride 2.

    Args:
        in_dim, stride, channels: filled in by `pretrain.heads.wiring`.
        arch: a name of `archs.SWIN` or a dict with embed_dim, depths, num_heads.
        window_size: side of the windows in tokens; a smaller map is one window, a map that it
            does not divide is padded.

    Raises:
        ValueError: no such arch, or a target coarser than the head's finest map.
    """

    def __init__(
        self,
        in_dim: int,
        stride: int,
        channels: int,
        arch: str | SwinSize = 'tiny',
        window_size: int = 6,
        norm_eps: float = 1e-5,
    ) -> None:
        super().__init__()
        size = swin_size(arch)
        splits = len(size['depths']) - 1
        if stride % 2**splits:
            raise ValueError(
                f'InverseSwinHead: {len(size["depths"])} stages make maps {2**splits} times finer '
                f"than the features, the target's is {stride} times; predict a finer target or "
                'take a head of fewer stages'
            )
        self.window_size = window_size
        dim = size['embed_dim'] * 2**splits
        self.enter = nn.Linear(in_dim, dim)
        self.stages = nn.ModuleList()
        self.splits = nn.ModuleList()
        for depth, heads in zip(size['depths'][::-1], size['num_heads'][::-1], strict=True):
            blocks = [
                SwinBlock(
                    dim,
                    heads,
                    window_size,
                    shifted=i % 2 == 1,
                    version=1,
                    mlp_ratio=4.0,
                    qkv_bias=True,
                    drop_path=0.0,
                    norm_eps=norm_eps,
                )
                for i in range(depth)
            ]
            self.stages.append(nn.ModuleList(blocks))
            if len(self.splits) < splits:
                self.splits.append(PatchSplitting(dim, norm_eps))
                dim //= 2
        self.norm = nn.LayerNorm(dim, eps=norm_eps)
        self.project = nn.Linear(dim, (stride // 2**splits) ** 2 * channels)
        self.spread = nn.PixelShuffle(stride // 2**splits)
        self._draw_weights()

    def forward(self, feature: Tensor) -> Tensor:
        x = self.enter(feature.permute(0, 2, 3, 1))
        for i, blocks in enumerate(self.stages):
            x = self._attend(blocks, x)
            if i < len(self.splits):
                x = self.splits[i](x)
        return self.spread(self.project(self.norm(x)).permute(0, 3, 1, 2))

    def _attend(self, blocks: nn.ModuleList, x: Tensor) -> Tensor:
        grid = (x.shape[1], x.shape[2])
        plan = plan_windows(grid, self.window_size, 'shrink')
        mask = None
        if plan.shift and len(blocks) > 1:
            mask = shift_mask(padded_grid(grid, plan.size), plan, x.device)
        for block in blocks:
            x = block(x, plan, mask)
        return x

    def _draw_weights(self) -> None:
        """Truncated normal, std 0.02, biases zero: as the encoder starts."""
        for name, parameter in self.named_parameters():
            if name.endswith('bias_table') or (name.endswith('weight') and parameter.dim() == 2):
                trunc_normal_(parameter, std=0.02)
            elif name.endswith('bias'):
                nn.init.zeros_(parameter)
