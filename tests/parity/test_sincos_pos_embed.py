"""Fixed 2-D sine-cosine tables of MAE (column first) and MoCo v3 (row first)."""

import pytest
import torch

from mim_backbones.backbones.layers.pos_embed import sincos_pos_embed
from mim_backbones.backbones.vit import MIMViT


@pytest.mark.golden('sincos_pos_embed')
def test_tables(golden, same) -> None:
    for name, table in golden.items():
        kind, width, side = name.split('_')  # mae_d48_g4: width 48, grid 4 x 4
        width, side = int(width[1:]), int(side[1:])
        x_first = kind == 'mae'
        own = sincos_pos_embed(width, (side, side), num_prefix=1, x_first=x_first)
        same(name, own.view_as(table), table)
        backbone = MIMViT(
            {'embed_dim': width, 'depth': 1, 'num_heads': 1}, img_size=16 * side,
            pos_embed='sincos' if x_first else 'sincos-row-first',
        )  # fmt: skip
        assert not backbone.pos_embed.requires_grad
        assert torch.equal(backbone.pos_embed, own)
