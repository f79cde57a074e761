"""MAE's decoder: what was encoded and mask tokens -> pixels of the hidden patches.

    encoded tokens -> embed -> [CLS, visible, mask tokens] + pos_embed -> blocks -> norm -> pred

Source: arXiv 2111.06377, section 3 (MAE decoder) and Table 1a-b. Attention does not ask in which
order tokens stand, so that the hidden ones simply follow the visible ones, each with the position
it has in the image; nothing is shuffled back, and only what the loss needs is predicted.
"""

import torch
import torch.nn as nn
from mmengine.model import BaseModule
from torch import Tensor

from mim_backbones.backbones.base import check_option
from mim_backbones.backbones.layers.block import Block, rising_rates, run_block
from mim_backbones.backbones.layers.pos_embed import sincos_pos_embed
from mim_backbones.backbones.layers.tokens import take
from pretrain.registry import MODELS

Grid = tuple[int, int]


@MODELS.register_module()
class MAEDecoder(BaseModule):
    """The method fills in in_dim, grid, out_dim and cls_token.

    Args:
        in_dim: width of the encoded tokens.
        grid: (h, w) of the positions.
        out_dim: values predicted at each position.
        cls_token: whether an encoded CLS token comes first; it takes part in the attention.
        embed_dim, depth, num_heads: of the decoder; in the paper 512, 8 and 16 for all encoders.
        pos_embed: 'sincos' (fixed) or 'learned' (Hiera's).
        drop_path_rate: of the last block; rises linearly from 0 (dBOT).
        with_cp: recompute blocks in the backward pass to save memory.

    Raises:
        ValueError: num_heads does not divide embed_dim, embed_dim is no multiple of 4, or there is
            no such pos_embed.
    """

    def __init__(
        self,
        in_dim: int,
        grid: Grid,
        out_dim: int,
        cls_token: bool = True,
        embed_dim: int = 512,
        depth: int = 8,
        num_heads: int = 16,
        pos_embed: str = 'sincos',
        mlp_ratio: float = 4.0,
        norm_eps: float = 1e-6,
        drop_path_rate: float = 0.0,
        with_cp: bool = False,
    ) -> None:
        super().__init__()
        check_option('MAEDecoder', 'pos_embed', pos_embed, ('sincos', 'learned'))
        self.with_cp = with_cp
        self.num_cls = int(cls_token)
        self.embed = nn.Linear(in_dim, embed_dim)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, embed_dim))
        positions = sincos_pos_embed(embed_dim, grid, self.num_cls, x_first=True)
        self.pos_embed = nn.Parameter(positions, requires_grad=pos_embed == 'learned')
        self.blocks = nn.ModuleList(
            self.make_block(embed_dim, num_heads, mlp_ratio, norm_eps, rate)
            for rate in rising_rates(drop_path_rate, depth)
        )
        self.norm = nn.LayerNorm(embed_dim, eps=norm_eps)
        self.pred = nn.Linear(embed_dim, out_dim)
        self._draw_weights()

    def forward(
        self, latent: Tensor, keep: Tensor, hidden: Tensor, with_cls: bool = False
    ) -> Tensor:
        """Values (B, M, out_dim) predicted at the hidden places.

        Args:
            latent: (B, cls + V, in_dim), encoded tokens.
            keep: (B, V) int64, raster places of the visible ones.
            hidden: (B, M) int64, those of the hidden ones.
            with_cls: whether what is predicted at the CLS token comes first: (B, 1 + M, out_dim).
        """
        tokens = self._decode(latent, keep, hidden)
        wanted = tokens[:, -hidden.shape[1] :]
        return self.pred(torch.cat([tokens[:, :1], wanted], dim=1) if with_cls else wanted)

    def everywhere(
        self, latent: Tensor, keep: Tensor, hidden: Tensor, with_cls: bool = False
    ) -> Tensor:
        """Values (B, h * w, out_dim) at all places, in raster order; with_cls: as in `forward`."""
        tokens = self._decode(latent, keep, hidden)
        raster = torch.cat([keep, hidden], dim=1).argsort(dim=1)
        wanted = take(tokens[:, self.num_cls :], raster)
        return self.pred(torch.cat([tokens[:, :1], wanted], dim=1) if with_cls else wanted)

    def _decode(self, latent: Tensor, keep: Tensor, hidden: Tensor) -> Tensor:
        """Tokens (B, cls + V + M, D): CLS, then the visible places, then the hidden ones."""
        x = self.embed(latent)
        mask_tokens = self.mask_token.to(x.dtype).expand(len(x), hidden.shape[1], -1)
        table = self.pos_embed.expand(len(x), -1, -1)
        order = torch.cat([keep, hidden], dim=1) + self.num_cls
        positions = torch.cat([table[:, : self.num_cls], take(table, order)], dim=1)
        x = torch.cat([x, mask_tokens], dim=1) + positions
        return self.norm(self.run_blocks(x, self.num_cls + keep.shape[1]))

    def make_block(
        self, dim: int, num_heads: int, mlp_ratio: float, eps: float, drop_path: float
    ) -> nn.Module:
        return Block(dim, num_heads, mlp_ratio, drop_path=drop_path, norm_eps=eps)

    def run_blocks(self, x: Tensor, fixed: int) -> Tensor:
        """x (B, cls + V + M, D), the first `fixed` of which were encoded -> the same."""
        for block in self.blocks:
            x = run_block(block, self.with_cp, x, None)
        return x

    def _draw_weights(self) -> None:
        """As the encoder: Xavier for linear layers, qkv as one matrix."""
        nn.init.normal_(self.mask_token, std=0.02)
        if self.pos_embed.requires_grad:
            nn.init.normal_(self.pos_embed, std=0.02)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
