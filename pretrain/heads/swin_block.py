"""The light decoder of MAE-Lite's SimMIM: linear, one Swin block, 1x1 convolution, spread out.

Source: wangsr126/MAE-Lite, projects/simmim (arXiv 2404.12210). Narrow where an inverse Swin is
wide, and without its norm: it takes work off a small encoder's last stage.
"""

import torch.nn as nn
from timm.layers import trunc_normal_
from torch import Tensor

from mim_backbones.backbones.layers.swin_block import SwinBlock
from mim_backbones.backbones.layers.windows import plan_windows
from pretrain.registry import MODELS


@MODELS.register_module()
class SwinBlockHead(nn.Module):
    """(B, D, h, w) -> (B, C, h * s, w * s).

    Args:
        in_dim, stride, channels: filled in by `pretrain.heads.wiring`.
        embed_dim, num_heads: of the block.
        window_size: side of its windows in tokens, not shifted; a smaller map is one window, a map
            that it does not divide is padded.

    Raises:
        ValueError: num_heads does not divide embed_dim.
    """

    def __init__(
        self,
        in_dim: int,
        stride: int,
        channels: int,
        embed_dim: int = 96,
        num_heads: int = 3,
        window_size: int = 7,
    ) -> None:
        super().__init__()
        self.window_size = window_size
        self.enter = nn.Linear(in_dim, embed_dim)
        self.block = SwinBlock(
            embed_dim,
            num_heads,
            window_size,
            shifted=False,
            version=1,
            mlp_ratio=4.0,
            qkv_bias=True,
            drop_path=0.0,
            norm_eps=1e-5,
        )
        self.project = nn.Conv2d(embed_dim, stride**2 * channels, 1)
        self.spread = nn.PixelShuffle(stride)
        self._draw_weights()

    def forward(self, feature: Tensor) -> Tensor:
        plan = plan_windows((feature.shape[2], feature.shape[3]), self.window_size, 'shrink')
        x = self.block(self.enter(feature.permute(0, 2, 3, 1)), plan, None)
        return self.spread(self.project(x.permute(0, 3, 1, 2)))

    def _draw_weights(self) -> None:
        """Truncated normal, std 0.02, biases zero; the convolution starts as PyTorch's."""
        trunc_normal_(self.block.attn.relative_position_bias_table, std=0.02)
        for part in (self.enter, *self.block.modules()):
            if isinstance(part, nn.Linear):
                trunc_normal_(part.weight, std=0.02)
                nn.init.zeros_(part.bias)
