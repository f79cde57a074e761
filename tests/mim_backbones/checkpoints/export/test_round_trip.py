"""Into another library's names and back: the same features; and that library takes them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import timm
import torch
import torch.nn as nn
from click.testing import CliRunner

from mim_backbones import from_checkpoint, save_backbone
from mim_backbones.backbones.hiera import MIMHiera
from mim_backbones.backbones.swin import MIMSwin
from mim_backbones.checkpoints.source import open_source
from mim_backbones.commands.convert import convert
from mim_backbones.errors import UserError
from mim_backbones.registry import MODELS

SIZE = {'embed_dim': 24, 'depth': 2, 'num_heads': 2}
VIT = dict(type='mim_backbones.MIMViT', arch=SIZE, img_size=32, patch_size=8)
SWIN = dict(
    type='mim_backbones.MIMSwin',
    arch={'embed_dim': 12, 'depths': (1, 2, 2), 'num_heads': (1, 2, 4)},
    img_size=112,
)
HIERA = dict(
    type='mim_backbones.MIMHiera', arch={'embed_dim': 16, 'depths': (1, 1, 2, 1), 'num_heads': 1}
)
BACKBONES = {
    'vit': VIT,
    'vit wide': VIT | dict(img_size=(16, 64)),
    'vit, no cls': VIT | dict(cls_token=False, mlp_ratio=3.3),
    'vit, layer scale': VIT | dict(layer_scale=0.5, fc_norm=True),
    'dinov2': VIT | dict(layer_scale=0.5, num_registers=3, mask_token=True),
    'beit': VIT | dict(pos_embed='none', rel_pos_bias='per_block', qkv_bias='qv', layer_scale=0.5),
    'beit, shared': VIT | dict(pos_embed='none', rel_pos_bias='shared', qkv_bias='qv'),
    'mmseg mae': VIT | dict(rel_pos_bias='per_block', layer_scale=0.5, norm_eps=1e-5),
    'vitdet': VIT | dict(
        img_size=64, cls_token=False, window_size=4, global_blocks=(1,), decomposed_rel_pos=True,
    ),
    'clip': VIT | dict(
        norm_pre=True, patch_bias=False, act='quick_gelu', norm_eps=1e-5, mlp_ratio=2,
    ),
    'siglip': VIT | dict(cls_token=False, act='gelu_tanh'),
    'dinov2-giant': VIT | dict(layer_scale=0.5, mlp='swiglu', mlp_ratio=2),
    'norms inside': VIT | dict(mlp_norm=True, attn_norm=True, qk_norm=True),
    'eva02': VIT | dict(
        qkv_bias='qv', mlp='swiglu', mlp_norm=True, rope='eva02', final_norm=False, fc_norm=True,
    ),
    'dinov3': VIT | dict(
        pos_embed='none', num_registers=3, layer_scale=0.5,
        rope={'theta': 50.0, 'reference': [3, 3]},
    ),
    'swin': SWIN,
    'swin, dense': SWIN | dict(out_indices=(0, 1, 2)),
    'swin v2': SWIN | dict(version=2, absolute_pos_embed=True),
    'hiera': HIERA | dict(fc_norm=True),
    'hiera mae': HIERA | dict(q_pool=2),
}  # fmt: skip
IMPOSSIBLE = {
    ('dinov2', 'openmmlab'), ('vitdet', 'openmmlab'), ('swin v2', 'openmmlab'),
    ('hiera', 'openmmlab'), ('hiera mae', 'openmmlab'), ('clip', 'openmmlab'),
    ('siglip', 'openmmlab'), ('dinov2-giant', 'openmmlab'), ('norms inside', 'openmmlab'),
    ('eva02', 'openmmlab'), ('dinov3', 'openmmlab'), ('eva02', 'timm'), ('dinov3', 'timm'),
}  # fmt: skip
FORMS = ('mimbench', 'timm', 'openmmlab', 'safetensors')


def backbone_of(name: str) -> nn.Module:
    torch.manual_seed(0)
    backbone = MODELS.build(dict(BACKBONES[name]))
    for parameter in backbone.parameters():
        nn.init.normal_(parameter, 0.05, 0.2)
    return backbone.eval()


def saved(name: str, path: Path) -> nn.Module:
    """As the Runner writes it, record included."""
    backbone = backbone_of(name)
    state = {f'backbone.{key}': value for key, value in backbone.state_dict().items()}
    record = {'method': 'SimMIM', 'backbone': BACKBONES[name]}
    torch.save({'state_dict': state, 'meta': {'mimbench': record}}, path)
    return backbone


@torch.inference_mode()
@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
@pytest.mark.parametrize('form', FORMS)
@pytest.mark.parametrize('name', BACKBONES)
def test_there_and_back(tmp_path, name: str, form: str, suffix: str) -> None:
    if form == 'safetensors' and suffix == '.pth':
        return
    source, target = tmp_path / 'in.pth', tmp_path / f'out{suffix}'
    backbone = saved(name, source)
    result = CliRunner().invoke(convert, [str(source), str(target), '--to', form])
    if (name, form) in IMPOSSIBLE:
        assert isinstance(result.exception, UserError)
        assert not target.exists()
        return
    assert result.exit_code == 0, result.output
    back, report = from_checkpoint(target)
    assert report.covered == 1
    side = {MIMSwin: 112, MIMHiera: 224}.get(type(backbone), 64)
    image = torch.randn(1, 3, side, side)
    for found, expected in zip(back.eval()(image), backbone(image), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@torch.inference_mode()
def test_timm_takes_what_is_written_for_it(tmp_path) -> None:
    cases = {
        'vit, layer scale': ('vit_tiny_patch16_224', dict(
            img_size=32, patch_size=8, embed_dim=24, depth=2, num_heads=2, init_values=1.0,
            global_pool='avg')),
        'clip': ('vit_base_patch16_clip_quickgelu_224', dict(
            img_size=32, patch_size=8, embed_dim=24, depth=2, num_heads=2, mlp_ratio=2)),
        'siglip': ('vit_base_patch32_siglip_256', dict(
            img_size=32, patch_size=8, embed_dim=24, depth=2, num_heads=2, global_pool='')),
        'beit': ('beit_base_patch16_224', dict(
            img_size=32, patch_size=8, embed_dim=24, depth=2, num_heads=2)),
        'swin': ('swin_tiny_patch4_window7_224', dict(
            img_size=112, embed_dim=12, depths=(1, 2, 2), num_heads=(1, 2, 4))),
    }  # fmt: skip
    for name, (model_name, options) in cases.items():
        backbone = saved(name, tmp_path / 'in.pth')
        target = tmp_path / 'out.pth'
        result = CliRunner().invoke(
            convert, [str(tmp_path / 'in.pth'), str(target), '--to', 'timm']
        )
        assert result.exit_code == 0, result.output
        model = timm.create_model(model_name, num_classes=0, **options).eval()
        state = torch.load(target, weights_only=True)['state_dict']
        unfitting = model.load_state_dict(state, strict=False)
        allowed = ('fc_norm', 'norm.')  # pooled and final norm: which one exists depends on pooling
        assert all(key.startswith(allowed) for keys in unfitting for key in keys), name
        image = torch.randn(1, 3, 32, 32)
        if isinstance(backbone, MIMSwin):
            image = torch.randn(1, 3, 112, 112)
            expected = model.forward_features(image).permute(0, 3, 1, 2)
        else:
            depth = (backbone.depth - 1,)
            expected = model.forward_intermediates(image, indices=list(depth), norm=False)[1][0]
        found = backbone.intermediates(image, (backbone.depth - 1,), norm_last='swin' in name)[0]
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


@torch.inference_mode()
def test_mmdetection_takes_what_is_written_for_it(tmp_path) -> None:
    from mmdet.models.backbones import SwinTransformer

    backbone = saved('swin, dense', tmp_path / 'in.pth')
    arguments = [str(tmp_path / 'in.pth'), str(tmp_path / 'out.pth'), '--to', 'openmmlab']
    assert CliRunner().invoke(convert, arguments).exit_code == 0
    model = SwinTransformer(
        embed_dims=12,
        depths=(1, 2, 2),
        num_heads=(1, 2, 4),
        strides=(4, 2, 2),
        out_indices=(0, 1, 2),
    )
    state = torch.load(tmp_path / 'out.pth', weights_only=True)['state_dict']
    state = {key.removeprefix('backbone.'): value for key, value in state.items()}
    unfitting = model.load_state_dict(state, strict=False)
    assert unfitting.unexpected_keys == []
    assert all(key.endswith('relative_position_index') for key in unfitting.missing_keys)
    model.eval()
    image = torch.randn(1, 3, 100, 132)
    for found, expected in zip(backbone(image), model(image), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_report_as_json_and_refusals(tmp_path) -> None:
    saved('vit', tmp_path / 'in.pth')
    arguments = [str(tmp_path / 'in.pth'), str(tmp_path / 'out.pth'), '--to', 'timm', '--json']
    report = json.loads(CliRunner().invoke(convert, arguments).output)
    assert report['covered'] == 1
    assert report['written'].endswith('out.pth')
    for words, message in (
        (['in.pth', 'in.pth', '--to', 'timm'], 'IN and OUT'),
        (['in.pth', 'out.pth', '--to', 'safetensors'], 'out.safetensors'),
        (['none.pth', 'out.pth', '--to', 'timm'], 'does not exist'),
    ):
        paths = [str(tmp_path / word) if word.endswith('.pth') else word for word in words]
        error = CliRunner().invoke(convert, paths).exception
        assert isinstance(error, UserError)
        assert message in str(error)


@torch.inference_mode()
@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
@pytest.mark.parametrize('name', BACKBONES)
def test_a_saved_backbone_loads_without_hints(tmp_path, name: str, suffix: str) -> None:
    backbone = backbone_of(name)
    path = save_backbone(backbone, tmp_path / f'mine{suffix}', method='mine', epochs=3)
    content = open_source(path)
    assert (content.record['method'], content.record['epochs']) == ('mine', 3)
    again, report = from_checkpoint(path)
    assert type(again) is type(backbone)
    assert (report.covered, report.guessed, report.resized) == (1, [], {})
    options = {key: value for key, value in BACKBONES[name].items() if key != 'type'}
    assert backbone.built_with == options
    listed = json.dumps(options, sort_keys=True)  # JSON has lists for tuples
    assert json.dumps(again.built_with, sort_keys=True) == listed
    assert again.state_dict().keys() == backbone.state_dict().keys()
    assert all(torch.equal(v, backbone.state_dict()[k]) for k, v in again.state_dict().items())
    assert list(tmp_path.iterdir()) == [path]


def test_what_save_backbone_refuses(tmp_path) -> None:
    class Unregistered(MIMHiera):
        pass

    options = {key: value for key, value in HIERA.items() if key != 'type'}
    with pytest.raises(UserError, match='Unregistered is in no registry'):
        save_backbone(Unregistered(**options), tmp_path / 'x.pth')
    with pytest.raises(
        UserError, match=r'x\.txt: call it \*\.pth, \*\.pt, \*\.bin or \*\.safetens'
    ):
        save_backbone(backbone_of('hiera'), tmp_path / 'x.txt')
    assert list(tmp_path.iterdir()) == []


PACKAGE = """
from mim_backbones.backbones.vit import MIMViT
from mim_backbones.registry import MODELS

@MODELS.register_module()
class AcmeViT(MIMViT):
    def __init__(self, gain=1.0, **options):
        super().__init__(**options)
        self.gain = gain
"""


@pytest.mark.slow
def test_a_class_of_another_package_is_found_again(tmp_path) -> None:
    (tmp_path / 'acme_vit.py').write_text(PACKAGE)
    path = str(tmp_path / 'mine.safetensors')
    options = {key: value for key, value in VIT.items() if key != 'type'}
    save = (
        'from acme_vit import AcmeViT; from mim_backbones import save_backbone;'
        f'save_backbone(AcmeViT(gain=2.0, **{options!r}), {path!r})'
    )
    load = (
        'import sys; from mim_backbones import from_checkpoint;'
        f'backbone, report = from_checkpoint({path!r}); assert report.covered == 1;'
        'print(type(backbone).__name__, backbone.gain, "acme_vit" in sys.modules)'
    )
    environment = {**os.environ, 'PYTHONPATH': str(tmp_path)}
    for code in (save, load):
        result = subprocess.run(
            [sys.executable, '-c', code], capture_output=True, text=True, env=environment
        )
        assert result.returncode == 0, result.stderr
    assert result.stdout == 'AcmeViT 2.0 True\n'
    assert result.stderr == f'checkpoint {path}: imported acme_vit, as its recipe\n'
