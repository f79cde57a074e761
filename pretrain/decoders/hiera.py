"""What Hiera's MAE decodes: the stages' maps of the visible units, fused at the last one's scale.

    stage i  (B, V, m_i, m_i, C_i) -> convolution, kernel = stride = m_i / m
    sum of the pooled stages' and the last stage's own -> LayerNorm -> tokens (B, V * m * m, C)

Source: arXiv 2306.00989, section 3 (multi-scale decoding); facebookresearch/hiera, hiera_mae.py. A
stage between the last pooled one and the last has the last one's scale and takes no part.
"""

from collections.abc import Sequence

import torch.nn as nn
from torch import Tensor

from mim_backbones.backbones.hiera import MIMHiera


class StageFusion(nn.Module):
    """Attributes: blocks, indices of the blocks whose outputs `forward` takes, in its order."""

    def __init__(self, backbone: MIMHiera) -> None:
        super().__init__()
        last, pools = backbone.last_dim, backbone.q_pool
        self.blocks = (*backbone.stage_ends[:pools], backbone.depth - 1)
        self.convs = nn.ModuleList(
            nn.Conv2d(backbone.embed_dim * 2**i, last, 2 ** (pools - i), 2 ** (pools - i))
            for i in range(pools)
        )
        self.norm = nn.LayerNorm(last, eps=backbone.blocks[-1].norm2.eps)

    def forward(self, stages: Sequence[Tensor]) -> Tensor:
        """Tokens (B, V * m * m, C), unit by unit, in raster order inside of each."""
        *pooled, fused = stages
        for conv, units in zip(self.convs, pooled, strict=True):
            maps = conv(units.flatten(0, 1).permute(0, 3, 1, 2))
            fused = fused + maps.permute(0, 2, 3, 1).unflatten(0, units.shape[:2])
        return self.norm(fused).flatten(1, 3)
