"""Image to patch tokens: one strided convolution."""

import torch.nn as nn
from torch import Tensor


class PatchEmbed(nn.Module):
    """Project non-overlapping patches to tokens.

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
        """image (B, C, H, W) -> tokens (B, D, H/p, W/p).

        Raises:
            ValueError: H or W is not a multiple of the patch size.
        """
        height, width = image.shape[-2:]
        p = self.patch_size
        if height % p or width % p:
            raise ValueError(
                f'PatchEmbed: input {height}x{width} is not divisible by patch_size {p}; '
                f'pad in data_preprocessor with pad_size_divisor={p}'
            )
        return self.proj(image)
