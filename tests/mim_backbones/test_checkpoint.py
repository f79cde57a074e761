import pytest
import torch

from mim_backbones.checkpoint import from_checkpoint, load_pretrained
from mim_backbones.vit import MIMViT
from mim_backbones.weights_file import CheckpointError

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
    assert report.ignored == ['mask_token']
    assert len(report.loaded) == len(backbone.state_dict())
    state = content['state_dict']
    assert torch.equal(backbone.blocks[1].mlp.fc1.weight, state['backbone.blocks.1.mlp.fc1.weight'])


def test_builds_what_the_file_records() -> None:
    backbone, report = from_checkpoint(pretrained(), img_size=64, cls_token=False)
    assert backbone.grid == (8, 8)
    assert report.resized == {'pos_embed': '(1, 17, 32) -> (1, 64, 32)'}
    assert 'cls_token' in report.ignored


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
    with pytest.raises(CheckpointError, match='does not record its backbone'):
        from_checkpoint(vit().state_dict())


def test_init_cfg_of_an_mm_config_loads_too(tmp_path) -> None:
    content = pretrained()
    torch.save(content, tmp_path / 'a.pth')
    backbone = vit(init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'a.pth')))
    backbone.init_weights()
    assert torch.equal(backbone.norm.weight, content['state_dict']['backbone.norm.weight'])
    assert torch.equal(
        backbone.patch_embed.proj.weight, content['state_dict']['backbone.patch_embed.proj.weight']
    )
