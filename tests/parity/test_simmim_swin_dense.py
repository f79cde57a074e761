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
        mlp_ratio=config['mlp_ratio'],
        qkv_bias=config['qkv_bias'],
        absolute_pos_embed=config['ape'],
        patch_norm=config['patch_norm'],
        norm_eps=config.get('norm_eps', 1e-5),
        out_indices=config['out_indices'],
        small_maps='pad',
        output_norm='each',
    ).eval()


@pytest.mark.golden('simmim_swin_dense', needs=['outs'])
def test_maps(golden, same) -> None:
    backbone = dense_swin(golden['config'])
    load_pretrained(backbone, golden['state_dict'])
    if 'patch_embed' in golden:
        embedded = backbone.patch_embed(golden['img']).permute(0, 3, 1, 2)
        same('patch_embed', embedded, golden['patch_embed'])
    same('outs', backbone(golden['img']), golden['outs'])
