import json

import pytest
import torch
import torch.nn as nn

from mim_backbones.backbones.swin import MIMSwin
from mim_backbones.backbones.vit import MIMViT
from mim_backbones.checkpoints.load import backbone_config, from_checkpoint, load_pretrained
from mim_backbones.checkpoints.safe.weights_file import CheckpointError
from mim_backbones.registry import MODELS

TINY = {'embed_dim': 32, 'depth': 2, 'num_heads': 2}


def vit(**options) -> MIMViT:
    return MIMViT(**{'arch': TINY, 'img_size': 32, 'patch_size': 8, **options})


def pretrained(**options) -> dict:
    """A pre-training checkpoint as the Runner writes it: prefixed backbone, head, record."""
    source = vit(mask_token=True, **options)
    state = {f'backbone.{name}': value for name, value in source.state_dict().items()}
    state['head.project.weight'] = torch.zeros(1)
    config = {'type': 'mim_backbones.MIMViT', 'arch': TINY, 'img_size': 32, 'patch_size': 8}
    record = {'method': 'SimMIM', 'backbone': {**config, 'mask_token': True, **options}}
    return {'state_dict': state, 'meta': {'mimbench': record}}


def test_loads_and_reports(tmp_path) -> None:
    content = pretrained()
    torch.save(content, tmp_path / 'a.pth')
    backbone = vit()
    report = load_pretrained(backbone, tmp_path / 'a.pth')
    assert report.covered == 1
    assert report.missing == report.unexpected == []
    assert report.ignored == {
        'outside of the backbone: head': ['state_dict.head.project.weight'],
        'mask token: the backbone has none': ['mask_token'],
    }
    assert report.dialect == 'mimbench'
    assert report.architecture == 'ViT 32 wide, 2 deep, patch 8'
    assert len(report.loaded) == len(backbone.state_dict())
    state = content['state_dict']
    assert torch.equal(backbone.blocks[1].mlp.fc1.weight, state['backbone.blocks.1.mlp.fc1.weight'])


def test_builds_what_the_file_records() -> None:
    backbone, report = from_checkpoint(pretrained(), img_size=64, cls_token=False)
    assert backbone.grid == (8, 8)
    assert report.resized == {'pos_embed': '(1, 17, 32) -> (1, 64, 32)'}
    assert report.ignored['CLS token: the backbone has none'] == ['cls_token']


def test_a_relative_table_is_resized_on_the_way() -> None:
    content = pretrained(pos_embed='none', rel_pos_bias='shared')
    backbone, report = from_checkpoint(content, img_size=64)
    name = 'rel_pos_bias.relative_position_bias_table'
    assert report.resized == {name: '(52, 2) -> (228, 2)'}
    extra = content['state_dict'][f'backbone.{name}'][-3:]
    assert torch.equal(backbone.rel_pos_bias.relative_position_bias_table[-3:], extra)


def test_uncovered_parameters_raise_and_leave_the_backbone_alone() -> None:
    content = pretrained()
    del content['state_dict']['backbone.blocks.0.attn.qkv.bias']
    backbone = vit()
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    with pytest.raises(CheckpointError, match=r'1 parameters missing: blocks\.0\.attn\.qkv\.bias'):
        load_pretrained(backbone, content)
    assert all(torch.equal(value, before[name]) for name, value in backbone.state_dict().items())
    report = load_pretrained(backbone, content, strict=False)
    assert report.missing == ['blocks.0.attn.qkv.bias']
    assert 'missing    blocks.0.attn.qkv.bias' in report.as_text()


def test_another_architecture_names_both_shapes() -> None:
    wide = vit(arch={'embed_dim': 64, 'depth': 2, 'num_heads': 2})
    with pytest.raises(CheckpointError, match='another architecture'):
        load_pretrained(wide, pretrained())


def test_no_tensors_and_no_record() -> None:
    with pytest.raises(CheckpointError, match='no tensors'):
        load_pretrained(vit(), {'epoch': 3})
    with pytest.raises(CheckpointError, match='give num_heads='):
        from_checkpoint(vit().state_dict())
    backbone, report = from_checkpoint(vit().state_dict(), num_heads=2)
    assert report.covered == 1
    assert backbone.grid == (4, 4)


def test_init_cfg_of_an_mm_config_loads_too(tmp_path) -> None:
    content = pretrained()
    torch.save(content, tmp_path / 'a.pth')
    backbone = vit(init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'a.pth')))
    backbone.init_weights()
    assert torch.equal(backbone.norm.weight, content['state_dict']['backbone.norm.weight'])
    assert torch.equal(
        backbone.patch_embed.proj.weight, content['state_dict']['backbone.patch_embed.proj.weight']
    )


def test_a_key_bias_is_never_dropped() -> None:
    # MAE-Lite's fine-tuning with relative positions loads joint biases into q and v ones.
    source = vit()
    for block in source.blocks:
        nn.init.normal_(block.attn.qkv.bias)
    with pytest.raises(CheckpointError, match=r'blocks\.0\.attn\.qkv\.bias has a key bias.*joint'):
        load_pretrained(vit(qkv_bias='qv'), source.state_dict())
    for block in source.blocks:
        block.attn.qkv.bias.data[32:64] = 0
    backbone = vit(qkv_bias='qv')
    report = load_pretrained(backbone, source.state_dict())
    assert report.covered == 1
    assert 'key part is zero' in report.resized['blocks.0.attn.q_bias']
    image = torch.randn(1, 3, 32, 32)
    torch.testing.assert_close(backbone.eval()(image), source.eval()(image))
    joint = vit()
    assert load_pretrained(joint, backbone.state_dict()).covered == 1
    torch.testing.assert_close(joint.eval()(image), source(image))


def test_relative_positions_are_never_dropped_unasked() -> None:
    source = vit(pos_embed='none', rel_pos_bias='per_block')
    with pytest.raises(CheckpointError, match=r'no place for: blocks\.0\.rel_pos_bias'):
        load_pretrained(vit(pos_embed='none'), source.state_dict())
    report = load_pretrained(vit(pos_embed='none'), source.state_dict(), leave_out=['rel_pos_bias'])
    assert len(report.ignored['left out as asked']) == 2
    _, report = from_checkpoint(source.state_dict(), rel_pos_bias='none')
    assert len(report.ignored['left out as asked']) == 2
    report = load_pretrained(vit(pos_embed='none'), source.state_dict(), strict=False)
    assert len(report.unexpected) == 2


def test_new_relative_positions_start_at_zero_and_are_reported() -> None:
    # ViTDet, mmsegmentation's MAE: tables the pre-training did not have.
    backbone = vit(rel_pos_bias='per_block')
    report = load_pretrained(backbone, vit().state_dict())
    assert len(report.fresh) == 2
    assert report.covered < 1
    nn.init.normal_(backbone.blocks[0].rel_pos_bias.relative_position_bias_table)
    with pytest.raises(CheckpointError, match=r'1 parameters missing: blocks\.0\.rel_pos_bias'):
        load_pretrained(backbone, vit().state_dict())


def test_a_layer_scale_of_ones_starts_fresh_and_another_does_not() -> None:
    # mmsegmentation's MAE; with ones the backbone computes at first what the checkpoint did
    report = load_pretrained(vit(layer_scale=1.0), vit().state_dict())
    assert report.fresh == [f'blocks.{i}.gamma_{k}' for i in (0, 1) for k in (1, 2)]
    with pytest.raises(CheckpointError, match=r'missing: blocks\.0\.gamma_1'):
        load_pretrained(vit(layer_scale=0.1), vit().state_dict())


def test_deeper_weights_do_not_fit_a_shallow_backbone() -> None:
    shallow = vit(arch={**TINY, 'depth': 1})
    with pytest.raises(CheckpointError, match=r'no place for: blocks\.1\.norm1'):
        load_pretrained(shallow, vit().state_dict())


def test_another_family_and_no_backbone_at_all() -> None:
    swin = MIMSwin({'embed_dim': 8, 'depths': (1, 1), 'num_heads': (1, 2)}, img_size=56)
    with pytest.raises(CheckpointError, match='holds a swin backbone'):
        load_pretrained(vit(), swin.state_dict())
    with pytest.raises(CheckpointError, match='no ViT, Swin or Hiera backbone'):
        load_pretrained(vit(), {'conv1.weight': torch.zeros(8, 3, 7, 7)})
    with pytest.raises(CheckpointError, match='no known dialect'):
        load_pretrained(vit(), {'patch_embed.proj.weight': torch.zeros(8, 3, 7, 7)})
    with pytest.raises(CheckpointError, match=r'qkv\.weight is torch\.int32'):
        load_pretrained(
            vit(), {k: v.int() if 'qkv.weight' in k else v for k, v in vit().state_dict().items()}
        )


def test_a_rectangular_table_says_its_grid() -> None:
    source = vit(img_size=(32, 64))
    with pytest.raises(CheckpointError, match='say its grid'):
        load_pretrained(vit(img_size=(64, 32)), source.state_dict())
    report = load_pretrained(vit(img_size=(64, 32)), source.state_dict(), grid=(4, 8))
    assert report.covered == 1
    square = vit()  # 16 cells: 4 x 4, or the 2 x 8 wanted here
    with pytest.raises(CheckpointError, match='4x4 grid or 2x8'):
        load_pretrained(vit(img_size=(16, 64)), square.state_dict())


def test_backbone_config_is_what_from_checkpoint_builds() -> None:
    source = vit(rel_pos_bias='shared', pos_embed='none', qkv_bias='qv', layer_scale=0.1)
    config = backbone_config({'model': source.state_dict()}, out_indices=(0, 1))
    assert config['type'] == 'mim_backbones.MIMViT'
    assert config['arch'] == TINY
    assert config['rel_pos_bias'] == 'shared'
    backbone = MODELS.build(config)
    assert load_pretrained(backbone, source.state_dict()).covered == 1
    assert len(backbone(torch.zeros(1, 3, 32, 32))) == 2


def test_the_report_serialises() -> None:
    _, report = from_checkpoint(pretrained(), img_size=64)
    assert json.loads(json.dumps(report.as_dict()))['covered'] == 1
    text = report.as_text()
    assert '100 % of the backbone covered' in text
    assert 'resized    pos_embed: (1, 17, 32) -> (1, 65, 32)' in text


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
@pytest.mark.parametrize('strict', [True, False])
def test_weights_that_are_not_finite_are_refused(value: float, strict: bool) -> None:
    content = pretrained()
    content['state_dict']['backbone.blocks.1.mlp.fc1.weight'][3, 5] = value
    backbone = vit()
    before = backbone.blocks[0].mlp.fc1.weight.clone()
    with pytest.raises(CheckpointError, match=r'blocks\.1\.mlp\.fc1\.weight holds NaN or infinity'):
        load_pretrained(backbone, content, strict=strict)
    assert torch.equal(backbone.blocks[0].mlp.fc1.weight, before)
    with pytest.raises(CheckpointError, match='diverged'):
        from_checkpoint(content)


@pytest.mark.parametrize('heads', [0, 7, -2, 'x', 1.5, None, [2]])
def test_heads_that_cannot_be_are_one_line(heads: object) -> None:
    state = {'head.weight': torch.zeros(2), **vit().state_dict()}
    with pytest.raises(CheckpointError) as error:
        from_checkpoint(state, num_heads=heads)
    assert '\n' not in str(error.value)
