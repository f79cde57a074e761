"""MILAN's decoder: mask tokens look at the encoded tokens, which nothing changes any more.

    queries   mask tokens, refined from block to block
    keys, values   the encoded tokens as they were embedded, and the mask tokens

Source: arXiv 2208.06049, section 3.2 (prompting decoder); zejiangh/MILAN, models_milan.py. A
block norms mask tokens before its attention and encoded tokens never; the last norm, before the
prediction, is of both.
"""

import torch
from torch import Tensor, nn

from mim_backbones.backbones.layers.block import run_block
from mim_backbones.backbones.layers.mlp import make_mlp
from pretrain.decoders.mae import MAEDecoder
from pretrain.registry import MODELS


class PromptedAttention(nn.Module):
    """Of queries (B, M, D) over fixed tokens (B, V, D) and themselves."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.q = nn.Linear(dim, dim)
        self.kv = nn.Linear(dim, 2 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, fixed: Tensor) -> Tensor:
        keys, values = self.kv(torch.cat([fixed, x], dim=1)).chunk(2, dim=2)
        q, k, v = (
            part.unflatten(2, (self.num_heads, -1)).transpose(1, 2)
            for part in (self.q(x), keys, values)
        )
        out = nn.functional.scaled_dot_product_attention(q, k, v)
        return self.proj(out.transpose(1, 2).flatten(2))


class PromptedBlock(nn.Module):
    """x + attn(norm1(x), fixed), then the same with an MLP."""

    def __init__(self, dim: int, num_heads: int, mlp_ratio: float, norm_eps: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=norm_eps)
        self.attn = PromptedAttention(dim, num_heads)
        self.norm2 = nn.LayerNorm(dim, eps=norm_eps)
        self.mlp = make_mlp('plain', dim, int(dim * mlp_ratio), 'gelu', None)

    def forward(self, x: Tensor, fixed: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x), fixed)
        return x + self.mlp(self.norm2(x))


@MODELS.register_module()
class PromptingDecoder(MAEDecoder):
    """See the module; arguments as of `MAEDecoder`, without a drop path."""

    def make_block(
        self, dim: int, num_heads: int, mlp_ratio: float, eps: float, drop_path: float
    ) -> nn.Module:
        if drop_path:
            raise ValueError('PromptingDecoder has no drop path')
        return PromptedBlock(dim, num_heads, mlp_ratio, eps)

    def run_blocks(self, x: Tensor, fixed: int) -> Tensor:
        encoded, x = x[:, :fixed], x[:, fixed:]
        for block in self.blocks:
            x = run_block(block, self.with_cp, x, encoded)
        return torch.cat([encoded, x], dim=1)
