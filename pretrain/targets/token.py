"""Visual tokens of a frozen tokenizer (BEiT, arXiv 2106.08254; compared in 2111.09886, 4.1.4)."""

from typing import Any

import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from pretrain.registry import MODELS, build
from pretrain.targets.base import Target
from pretrain.targets.frozen import FrozenTokenizer


@MODELS.register_module()
class TokenTarget(Target):
    """RGB (B, 3, H, W) in [0, 1] -> ids (B, H/s, W/s) in [0, codes).

    An image of another size than the tokenizer's `input_size` is resized to it (bicubic,
    antialiased), so that DALL-E's dVAE sees 112 px of a 224 px image and says one token per 16 px,
    as in BEiT. The tokenizer is in no state dict and no optimizer.

    Args:
        tokenizer: a tokenizer or its config: `codes`, `encode(image) -> ids (B, h, w)`, and
            `input_size` unless images of any size are good.
        stride: s, image pixels per token and side.

    Raises:
        ValueError: no tokenizer; or at the first image, when its grid is not the target's.
    """

    kind = 'ids'
    drawable = False

    def __init__(self, tokenizer: nn.Module | dict[str, Any], stride: int = 16) -> None:
        super().__init__()
        net = tokenizer if isinstance(tokenizer, nn.Module) else build(MODELS, tokenizer)
        self.tokenizer = FrozenTokenizer(net)
        self.channels = self.tokenizer.codes
        self.stride = stride

    def forward(self, image: Tensor) -> Tensor:
        size = getattr(self.tokenizer.net, 'input_size', None)
        seen = image
        if size is not None and image.shape[-2:] != (size, size):
            seen = F.interpolate(
                image, (size, size), mode='bicubic', align_corners=False, antialias=True
            ).clamp(0, 1)
        ids = self.tokenizer(seen)
        grid = (image.shape[-2] // self.stride, image.shape[-1] // self.stride)
        if ids.shape[1:] != grid:
            raise ValueError(
                f'TokenTarget: {type(self.tokenizer.net).__name__} has {ids.shape[1]}x'
                f'{ids.shape[2]} tokens for {seen.shape[-2]}x{seen.shape[-1]} px, the target '
                f'{grid[0]}x{grid[1]} (one per {self.stride} px of the image); change the '
                "tokenizer's input_size or the stride"
            )
        return ids
