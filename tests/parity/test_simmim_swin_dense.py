"""Swin of the published segmentation code: padding in every block, a norm for every output."""

from typing import Any

import pytest

from mim_backbones.backbones.swin import MIMSwin
from mim_backbones.checkpoints.load import load_pretrained


def dense_swin(config: dict[str, Any]) -> MIMSwin:
    return MIMSwin(
        {key: config[key] for key in ('embed_dim', 'depths', 'num_heads')},
        img_size=config['pretrain_img_size'],
        patch_size=config['patch_size'],
        in_channels=config.get('in_chans', 3),
        window_size=config['window_size'],
        mlp_ratio=config.get('mlp_ratio', 4.0),
        qkv_bias=config.get('qkv_bias', True),
        absolute_pos_embed=config.get('ape', False),
        patch_norm=config.get('patch_norm', True),
        norm_eps=config.get('norm_eps', 1e-5),
        out_indices=config['out_indices'],
        small_maps='pad',
        output_norm='each',
    ).eval()


@pytest.mark.golden('simmim_swin_dense', each=['patch_embed', 'outs'])
def test_maps(golden, field, same) -> None:
    backbone = dense_swin(golden['config'])
    load_pretrained(backbone, golden['state_dict'])
    if field == 'patch_embed':
        found = backbone.patch_embed(golden['img']).permute(0, 3, 1, 2)
    else:
        found = backbone(golden['img'])
    same(field, found, golden[field])
