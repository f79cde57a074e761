"""BEiT v2: a pre-training state dict becomes a dense backbone and a classifier, at any grid."""

import pytest
import torch
import torch.nn.functional as F

from mim_backbones import load_pretrained
from mim_backbones.backbones.feature_pyramid import BlockPyramid
from mim_backbones.backbones.layers.rel_pos_bias import RelPosBias

FAMILY = 'beitv2_backbone'
BUFFERS = ('relative_position_index',)


def official(name: str) -> str:
    """BEiT's name of a parameter of ours."""
    return name.replace('.rel_pos_bias.', '.attn.')


def dense_keys(keys: list[str]) -> set[str]:
    return {k for k in keys if not k.endswith(BUFFERS) and not k.startswith('fpn')}


@pytest.fixture
def dense(golden, official_vit):
    """dense(tag): the backbone at the tag's resolution, loaded, and the report."""

    def build(tag: str):
        backbone = official_vit(
            golden['backbone_config'],
            img_size=golden[f'{tag}_img_size'],
            out_indices=golden['out_indices'],
            final_norm=False,
        )
        return backbone, load_pretrained(backbone, golden['pretrain_state_dict'])

    return build


@pytest.mark.parametrize('tag', ['same', 'large', 'small'])
@pytest.mark.golden(FAMILY)
def test_tables_block_tokens_and_pyramid(golden, same, dense, tag) -> None:
    backbone, report = dense(tag)
    assert report.missing == report.unexpected == []
    for block in backbone.blocks if f'{tag}_converted_table' in golden else ():
        table = block.rel_pos_bias.relative_position_bias_table
        same(f'{tag}_converted_table', table, golden[f'{tag}_converted_table'], atol=1e-4)
    if f'{tag}_image' not in golden:
        return
    image = golden[f'{tag}_image']
    with torch.no_grad():
        tokens = backbone.block_tokens(image, golden['block_token_indices'])
        maps = backbone(image)
    same(f'{tag}_block_tokens', tokens, golden[f'{tag}_block_tokens'])
    if f'{tag}_pyramid' in golden:
        neck = BlockPyramid(backbone.embed_dim, backbone.patch_size).eval()
        neck.load_state_dict(golden['fpn_state_dict'])
        with torch.no_grad():
            same(f'{tag}_pyramid', neck(maps), golden[f'{tag}_pyramid'])


@pytest.mark.golden(FAMILY)
def test_dense_key_list(golden, dense) -> None:
    backbone, _ = dense('same')
    assert {official(k) for k in backbone.state_dict()} == dense_keys(
        golden['backbone_state_dict_keys']
    )


@pytest.mark.golden(FAMILY, needs=['same_relative_position_index'])
def test_every_query_and_key_read_the_published_row(golden, same) -> None:
    config = golden['pretrain_config']
    side = config['img_size'] // config['patch_size']
    bias = RelPosBias((side, side), num_heads=1, cls_token=True)
    table = bias.relative_position_bias_table
    table.data = torch.arange(len(table), dtype=torch.float32)[:, None]
    index = golden['same_relative_position_index']
    same('same_relative_position_index', bias((side, side))[0].long(), index, atol=0)


@pytest.mark.parametrize('pool', ['mean', 'cls'])
@pytest.mark.golden(FAMILY)
def test_classifier(golden, same, official_vit, left_out, pool) -> None:
    published = dense_keys(golden[f'ft_{pool}_state_dict_keys'])
    own_tables = any('relative_position_bias_table' in key for key in published)
    backbone = official_vit(
        {**golden['pretrain_config'], 'use_rel_pos_bias': own_tables},
        final_norm=pool == 'cls',
        fc_norm=pool == 'mean',
    )
    report = load_pretrained(backbone, golden['pretrain_state_dict'])
    head = dict(golden[f'ft_{pool}_head'])
    weight, bias = head.pop('head.weight'), head.pop('head.bias')
    assert {*report.fresh, 'head.weight', 'head.bias'} == {*golden[f'ft_{pool}_missing_keys']}
    assert {*golden[f'ft_{pool}_unexpected_keys']} <= left_out(report)
    keys = {official(k) for k in backbone.state_dict()} | {'head.weight', 'head.bias'}
    assert keys == published

    backbone.load_state_dict({**backbone.state_dict(), **head})
    pooled = backbone.forward_pooled(golden['same_image'], pool)
    same(f'ft_{pool}_pooled', pooled, golden[f'ft_{pool}_pooled'])
    same(f'ft_{pool}_logits', F.linear(pooled, weight, bias), golden[f'ft_{pool}_logits'])


@pytest.mark.golden(FAMILY, needs=['linprobe_features'])
def test_linear_probe_features(golden, same, official_vit) -> None:
    backbone = official_vit(golden['pretrain_config'])
    load_pretrained(backbone, golden['pretrain_state_dict'])
    found = backbone.probe_features(golden['same_image'], range(backbone.depth))
    same('linprobe_features', found, golden['linprobe_features'])
