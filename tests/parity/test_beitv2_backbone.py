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
    """dense(tag): the backbone at the tag's resolution, loaded."""

    def build(tag: str):
        backbone = official_vit(
            golden['backbone_config'],
            img_size=golden[f'{tag}_img_size'],
            out_indices=golden['out_indices'],
            final_norm=False,
        )
        report = load_pretrained(backbone, golden['pretrain_state_dict'])
        assert report.missing == report.unexpected == []
        return backbone

    return build


def tagged(field: str):
    """field(content): the resolutions ('same', 'large', ...) that the file has the field of."""

    def tags(content: dict) -> list[str]:
        sizes = [name.removesuffix('_img_size') for name in content if name.endswith('_img_size')]
        return [tag for tag in sizes if f'{tag}_{field}' in content]

    tags.__name__ = f'*_{field}'
    return tags


@pytest.mark.golden(FAMILY, each=tagged('converted_table'))
def test_converted_table(golden, field, same, dense) -> None:
    for block in dense(field).blocks:
        table = block.rel_pos_bias.relative_position_bias_table
        name = f'{field}_converted_table'
        same(name, table, golden[name], atol=1e-4)


@pytest.mark.golden(FAMILY, each=tagged('block_tokens'))
def test_block_tokens(golden, field, same, dense) -> None:
    image, indices = golden[f'{field}_image'], golden['block_token_indices']
    name = f'{field}_block_tokens'
    same(name, dense(field).block_tokens(image, indices), golden[name])


@pytest.mark.golden(FAMILY, each=tagged('pyramid'))
def test_pyramid(golden, field, same, dense) -> None:
    backbone = dense(field)
    neck = BlockPyramid(backbone.embed_dim, backbone.patch_size).eval()
    neck.load_state_dict(golden['fpn_state_dict'])
    with torch.no_grad():
        found = neck(backbone(golden[f'{field}_image']))
    expected = golden[f'{field}_pyramid']
    # Of an odd map the published pooling drops the last row, which ours pools alone.
    found = [f[..., : e.shape[-2], : e.shape[-1]] for f, e in zip(found, expected, strict=True)]
    same(f'{field}_pyramid', found, expected)


@pytest.mark.golden(FAMILY, needs=['backbone_state_dict_keys'])
def test_dense_key_list(golden, dense) -> None:
    published = dense_keys(golden['backbone_state_dict_keys'])
    assert {official(k) for k in dense('same').state_dict()} == published


@pytest.mark.golden(FAMILY, needs=['same_relative_position_index'])
def test_every_query_and_key_read_the_published_row(golden, same) -> None:
    side = golden['same_img_size'] // golden['pretrain_config']['patch_size']
    bias = RelPosBias((side, side), num_heads=1, cls_token=True)
    table = bias.relative_position_bias_table
    table.data = torch.arange(len(table), dtype=torch.float32)[:, None]
    index = golden['same_relative_position_index']
    same('same_relative_position_index', bias((side, side))[0].long(), index, atol=0)


@pytest.fixture
def classifier(golden, official_vit):
    """classifier(pool): the classifier's backbone, loaded, and the report."""

    def build(pool: str):
        state, config = golden['pretrain_state_dict'], golden['pretrain_config']
        tables = any(key.endswith('relative_position_bias_table') for key in state)
        backbone = official_vit(
            {**config, 'use_rel_pos_bias': tables},
            final_norm=pool == 'cls',
            fc_norm=pool == 'mean',
        )
        return backbone, load_pretrained(backbone, state)

    return build


def pools(field: str):
    """field(content): the kinds of pooling that the file has the field of."""

    def kinds(content: dict) -> list[str]:
        return [pool for pool in ('mean', 'cls') if f'ft_{pool}_{field}' in content]

    kinds.__name__ = f'ft_*_{field}'
    return kinds


@pytest.mark.golden(FAMILY, each=pools('missing_keys'))
def test_keys_that_a_classifier_lacks(golden, field, classifier, left_out) -> None:
    _, report = classifier(field)
    missing = set(golden[f'ft_{field}_missing_keys'])
    assert {*report.fresh, 'head.weight', 'head.bias'} == missing
    assert set(golden[f'ft_{field}_unexpected_keys']) <= left_out(report)


@pytest.mark.golden(FAMILY, each=pools('state_dict_keys'))
def test_keys_of_a_classifier(golden, field, classifier) -> None:
    backbone, _ = classifier(field)
    keys = {official(k) for k in backbone.state_dict()} | {'head.weight', 'head.bias'}
    assert keys == dense_keys(golden[f'ft_{field}_state_dict_keys'])


@pytest.mark.golden(FAMILY, needs=['same_image'], each=pools('head'))
def test_classifier(golden, field, same, classifier) -> None:
    backbone, _ = classifier(field)
    head = dict(golden[f'ft_{field}_head'])
    weight, bias = head.pop('head.weight'), head.pop('head.bias')
    backbone.load_state_dict({**backbone.state_dict(), **head})
    pooled = backbone.forward_pooled(golden['same_image'], field)
    same(f'ft_{field}_pooled', pooled, golden[f'ft_{field}_pooled'])
    same(f'ft_{field}_logits', F.linear(pooled, weight, bias), golden[f'ft_{field}_logits'])


@pytest.mark.golden(FAMILY, needs=['linprobe_features'])
def test_linear_probe_features(golden, same, official_vit) -> None:
    backbone = official_vit(golden['pretrain_config'])
    load_pretrained(backbone, golden['pretrain_state_dict'])
    found = backbone.probe_features(golden['same_image'], range(backbone.depth))
    same('linprobe_features', found, golden['linprobe_features'])
