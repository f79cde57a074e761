"""Attention inside the windows of Swin V1 (relative table) and V2 (cosine, continuous bias).

The relative bias and the shift mask become one additive mask. Where it differs from window to
window, the windows go beside the heads, so that it is broadcast over the images and never
repeated for them.
"""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from mim_backbones.backbones.layers.attention import Attention, attend
from mim_backbones.backbones.layers.rel_pos_bias import offset_bias, resize_rel_pos_table

CPB_WIDTH = 512  # hidden width of the bias network, the same in every published size
MAX_LOGIT_SCALE = math.log(1 / 0.01)


class WindowAttention(Attention):
    """Swin V1: scaled dot product plus one learned value per head and offset.

    Args:
        dim: width C.
        num_heads: attention heads.
        window_size: side of the windows the table is made for, in tokens.
        qkv_bias: 'joint', 'qv' or 'none', as in `Attention`.
    """

    def __init__(self, dim: int, num_heads: int, window_size: int, qkv_bias: str) -> None:
        super().__init__(dim, num_heads, qkv_bias)
        self.window_size = window_size
        self.make_bias_parameters()

    def make_bias_parameters(self) -> None:
        rows = (2 * self.window_size - 1) ** 2
        self.relative_position_bias_table = nn.Parameter(torch.zeros(rows, self.num_heads))

    def bias(self, size: int) -> Tensor:
        """Additive bias (heads, N, N) for windows of `size`, the table resized when it differs."""
        own = (self.window_size, self.window_size)
        table = resize_rel_pos_table(self.relative_position_bias_table, own, (size, size), 0)
        return offset_bias(table, (size, size))

    def attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
        """q, k, v (B, heads, N, d), mask broadcast over B -> (B, heads, N, d)."""
        mask = mask.to(q.dtype).expand(len(q), -1, -1, -1)
        return attend(q, k, v, mask)

    def forward(  # type: ignore[override]  # windows of a map, not a sequence
        self, x: Tensor, size: int, mask: Tensor | None
    ) -> Tensor:
        """x (B, H, W, C), H and W multiples of `size`; mask (windows, N, N) -> (B, H, W, C)."""
        batch, height, width, dim = x.shape
        q, k, v = self._windows(x, size, 3)
        bias = self.bias(size)
        joined = (0, 1) if mask is None else (1, 2)
        if mask is not None:
            bias = (mask[:, None] + bias).flatten(0, 1)
        out = self.attend(q.flatten(*joined), k.flatten(*joined), v.flatten(*joined), bias)
        out = out.view(batch, height // size, width // size, self.num_heads, size, size, -1)
        return self.proj(out.permute(0, 1, 4, 2, 5, 3, 6).reshape(batch, height, width, dim))

    def window_logits(self, x: Tensor, size: int) -> Tensor:
        """What the softmax of `forward` is of, but for its mask: (B * windows, heads, N, N).

        With the bias, in float32 under any autocast; x, size: see `forward`. Values are not made.
        """
        q, k = (part.flatten(0, 1) for part in self._windows(x, size, 2))
        with torch.autocast(x.device.type, enabled=False):
            return self.products(q.float(), k.float()) + self.bias(size).float()

    def products(self, q: Tensor, k: Tensor) -> Tensor:
        """q, k (B, heads, N, d) -> (B, heads, N, N), scaled."""
        return (q * self.scale) @ k.transpose(-2, -1)

    def _windows(self, x: Tensor, size: int, parts: int) -> Tensor:
        """The first `parts` of queries, keys, values, (B, windows, heads, N, d) each."""
        batch, height, width, _ = x.shape
        cells = (batch, height // size, size, width // size, size)
        qkv = self._qkv(x, parts).view(*cells, parts, self.num_heads, -1)
        # (parts, B, rows, columns, heads, size, size, d)
        return qkv.permute(5, 0, 1, 3, 6, 2, 4, 7).flatten(5, 6).flatten(2, 3)


class CosineWindowAttention(WindowAttention):
    """Swin V2 (arXiv 2111.09883, section 3): cos(q, k) * scale + 16 * sigmoid(network(offset)).

    The scale is learned per head and at most 100. Offsets reach the network on a logarithmic
    axis, in units of the window side of pre-training, so that other windows need no resizing.

    Args:
        dim: width C.
        num_heads: attention heads.
        window_size: side that normalises the offsets (the pre-training window); 0: of the windows
            that are run.
        qkv_bias: 'qv' or 'none'.
    """

    def make_bias_parameters(self) -> None:
        self.logit_scale = nn.Parameter(torch.full((self.num_heads, 1, 1), math.log(10)))
        self.cpb_mlp = nn.Sequential(
            nn.Linear(2, CPB_WIDTH), nn.ReLU(), nn.Linear(CPB_WIDTH, self.num_heads, bias=False)
        )

    def bias(self, size: int) -> Tensor:
        offset = torch.arange(1 - size, size, device=self.logit_scale.device).float()
        # A window of one token has the offset 0 only; max() keeps 0 / 0 away.
        offset = 8 * offset / max((self.window_size or size) - 1, 1)
        offset = offset.sign() * torch.log2(offset.abs() + 1) / 3
        grid = torch.stack(torch.meshgrid(offset, offset, indexing='ij'), dim=-1)
        table = self.cpb_mlp(grid.flatten(0, 1).to(self.logit_scale.dtype))
        return 16 * offset_bias(table, (size, size)).sigmoid()

    def attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
        scale = self._scale()
        # With a shift mask the heads of all windows lie on one axis, window by window.
        scale = scale.repeat(q.shape[1] // self.num_heads, 1, 1)
        q = (F.normalize(q, dim=-1) * scale).to(v.dtype)
        k = F.normalize(k, dim=-1).to(v.dtype)
        mask = mask.to(v.dtype).expand(len(q), -1, -1, -1)
        return attend(q, k, v, mask, scale=1.0)

    def products(self, q: Tensor, k: Tensor) -> Tensor:
        return (F.normalize(q, dim=-1) * self._scale()) @ F.normalize(k, dim=-1).transpose(-2, -1)

    def _scale(self) -> Tensor:
        return self.logit_scale.clamp(max=MAX_LOGIT_SCALE).exp()
