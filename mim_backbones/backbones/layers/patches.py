"""Image to patch tokens, and between the stages of a Swin: merging 2 x 2 tokens, splitting one."""

import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor


class PatchEmbed(nn.Module):
    """Project non-overlapping patches to tokens.

    An image that is no multiple of the patch size is padded by zeros at right and bottom, as
    mmseg's and timm's backbones do: its last patches are whole ones.

    Args:
        patch_size: side of a patch in pixels.
        in_channels: channels of the image.
        embed_dim: width D of a token.
    """

    def __init__(self, patch_size: int, in_channels: int, embed_dim: int) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.proj = nn.Conv2d(in_channels, embed_dim, patch_size, patch_size)

    def forward(self, image: Tensor) -> Tensor:
        """image (B, C, H, W) -> tokens (B, D, ceil(H/p), ceil(W/p))."""
        right, below = -image.shape[-1] % self.patch_size, -image.shape[-2] % self.patch_size
        if right or below:
            image = F.pad(image, (0, right, 0, below))
        return self.proj(image)


class SwinPatchEmbed(PatchEmbed):
    """(B, 3, H, W) -> (B, ceil(H/p), ceil(W/p), C).

    Args:
        patch_norm: LayerNorm over the projected channels.
    """

    def __init__(
        self,
        patch_size: int,
        in_channels: int,
        embed_dim: int,
        patch_norm: bool,
        norm_eps: float,
    ) -> None:
        super().__init__(patch_size, in_channels, embed_dim)
        self.norm = nn.LayerNorm(embed_dim, eps=norm_eps) if patch_norm else nn.Identity()

    def forward(self, image: Tensor) -> Tensor:
        return self.norm(super().forward(image).permute(0, 2, 3, 1))


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
