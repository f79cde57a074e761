"""ViTDet's backbone and pyramid, and the rates and weight decays of its optimizer."""

from typing import Any

import pytest
import torch

from mim_backbones import load_pretrained
from mim_backbones.backbones.feature_pyramid import SimpleFeaturePyramid
from mim_backbones.backbones.vit import MIMViT

FAMILY = 'vitdet_backbone'


@pytest.fixture
def backbone(golden, field) -> MIMViT:
    """Made for the case's images: positions are interpolated once, as there."""
    config = golden['config']['vit']
    image = golden['cases'][field.split('.')[0]]['image']
    depth, windows = config['depth'], config['window_block_indexes']
    backbone = MIMViT(
        {'embed_dim': config['embed_dim'], 'depth': depth, 'num_heads': config['num_heads']},
        img_size=tuple(image.shape[-2:]),
        patch_size=config['patch_size'],
        in_channels=config.get('in_chans', 3),
        cls_token=False,
        pos_embed='learned' if config.get('use_abs_pos', True) else 'none',
        decomposed_rel_pos=config.get('use_rel_pos', False),
        window_size=config['window_size'],
        global_blocks=[i for i in range(depth) if i not in windows],
        mlp_ratio=config.get('mlp_ratio', 4.0),
        norm_eps=config.get('norm_eps', 1e-6),
        final_norm=False,
    ).eval()
    state = {f'backbone.{name}': value for name, value in golden['state_dict'].items()}
    report = load_pretrained(backbone, state)
    assert report.missing == report.unexpected == []
    return backbone


@pytest.fixture
def pyramid(golden) -> SimpleFeaturePyramid:
    """Levels from fine to coarse; a level's parameters come in the published order."""
    config, state = golden['config']['pyramid'], golden['state_dict']
    vit = golden['config']['vit']
    strides = [round(vit['patch_size'] / scale) for scale in config['scale_factors']]
    neck = SimpleFeaturePyramid(
        vit['embed_dim'], config['out_channels'], vit['patch_size'], strides,
        extra_levels=int(config.get('top_block') == 'LastLevelMaxPool'),
    ).eval()  # fmt: skip
    for level, stride in zip(neck.levels, strides, strict=True):
        prefix = f'simfp_{stride.bit_length() - 1}.'
        values = [value for name, value in state.items() if name.startswith(prefix)]
        level.load_state_dict(dict(zip(level.state_dict(), values, strict=True)))
    return neck


def cases(*fields: str):
    """field(content): case and field, of every case that has it."""

    def named(content: dict[str, Any]) -> list[str]:
        found = content.get('cases', {}).items()
        return [f'{name}.{f}' for name, case in found for f in fields if f in case]

    named.__name__ = f'cases.*.{fields[0]}'
    return named


@pytest.mark.golden(FAMILY, each=cases('block_outputs', 'last_feat'))
def test_blocks(golden, field, same, backbone) -> None:
    name, kind = field.split('.')
    case = golden['cases'][name]
    (height, width), blocks = case['grid'], range(backbone.depth)
    with torch.no_grad():
        if kind == 'last_feat':
            (found,) = backbone(case['image'])
        else:
            tokens = backbone.block_tokens(case['image'], blocks)
            found = [each.unflatten(1, (height, width)) for each in tokens]
    same(field, found, case[kind], atol=3e-5)


@pytest.mark.golden(FAMILY, each=cases('pyramid'))
def test_pyramid(golden, field, same, backbone, pyramid) -> None:
    case = golden['cases'][field.split('.')[0]]
    with torch.no_grad():
        found = pyramid(backbone(case['image']))
    levels = sorted(case['pyramid'])
    same(field, list(found), [case['pyramid'][level] for level in levels], atol=3e-5)
