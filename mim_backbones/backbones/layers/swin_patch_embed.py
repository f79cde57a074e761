"""Swin's patch embedding: projection, optional norm, tokens as a channels-last map."""

import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from mim_backbones.backbones.layers.patch_embed import PatchEmbed


class SwinPatchEmbed(PatchEmbed):
    """(B, 3, H, W) -> (B, H/p, W/p, C).

    Args:
        patch_norm: LayerNorm over the projected channels.
        pad: pad the image with zeros at right and bottom to a multiple of the patch size (dense
            behaviour) instead of refusing it.
    """

    def __init__(
        self,
        patch_size: int,
        in_channels: int,
        embed_dim: int,
        patch_norm: bool,
        pad: bool,
        norm_eps: float,
    ) -> None:
        super().__init__(patch_size, in_channels, embed_dim)
        self.pad = pad
        self.norm = nn.LayerNorm(embed_dim, eps=norm_eps) if patch_norm else nn.Identity()

    def forward(self, image: Tensor) -> Tensor:
        height, width = image.shape[-2:]
        if self.pad and (height % self.patch_size or width % self.patch_size):
            image = F.pad(image, (0, -width % self.patch_size, 0, -height % self.patch_size))
        return self.norm(super().forward(image).permute(0, 2, 3, 1))
