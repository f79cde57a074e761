"""SimMIM on ViT: masked encoder, reconstruction, loss and gradients; then the classifier."""

import pytest
import torch
import torch.nn.functional as F

from mim_backbones import from_checkpoint, load_pretrained
from pretrain.heads.pixel_shuffle import PixelShuffleHead
from pretrain.methods.simmim import SimMIM

FAMILY = 'simmim_vit'
AS_IT_IS = dict(mean=(0.0,), std=(1.0,))  # the file's images are normalised already
PARTS = {'encoder.': 'backbone.', 'decoder.0.': 'head.project.'}  # official -> ours


def ours(name: str) -> str:
    part = next(p for p in PARTS if name.startswith(p))
    return PARTS[part] + name.removeprefix(part)


@pytest.fixture
def model(golden, official_vit) -> SimMIM:
    config, state = golden['config'], golden['state_dict']
    stride = config.get('encoder_stride', config['patch_size'])
    model = SimMIM(
        backbone=dict(type='mim_backbones.MIMViT', arch='tiny'),
        target=dict(type='PixelTarget', **AS_IT_IS),
        head=dict(type='PixelShuffleHead'),
        **AS_IT_IS,
    )
    model.head = PixelShuffleHead(config['embed_dim'], stride)
    final_norm = not config.get('use_mean_pooling_pretrain')
    model.backbone = official_vit(config, mask_token=True, final_norm=final_norm)
    report = load_pretrained(model.backbone, state)
    assert report.missing == report.unexpected == []
    head = {ours(k).removeprefix('head.'): v for k, v in state.items() if k.startswith('decoder')}
    model.head.load_state_dict(head)
    return model.eval()


@pytest.mark.golden(FAMILY, each=['block_outputs', 'encoder_featmap', 'reconstruction', 'loss'])
def test_pretraining(golden, field, same, model) -> None:
    image, mask = golden['img'], golden['mask'].bool()
    found = {
        'block_outputs': lambda: model.backbone.block_tokens(
            image, range(model.backbone.depth), mask
        ),
        'encoder_featmap': lambda: model.backbone.forward_tokens(image, mask),
        'reconstruction': lambda: model.predict(image, mask),
        'loss': lambda: model(image, mask, mode='loss')['loss'],
    }
    same(field, found[field](), golden[field])


@pytest.mark.golden(FAMILY, needs=['grads'])
def test_gradients(golden, same, model, own_table) -> None:
    model(golden['img'], golden['mask'].bool(), mode='loss')['loss'].backward()
    for name, gradient in golden['grads'].items():
        same(f'grads {name}', model.get_parameter(own_table(ours(name))).grad, gradient)


@pytest.mark.golden(FAMILY, needs=['encoder_featmap'])
def test_architecture_is_read_from_the_file(golden, same, unseen) -> None:
    backbone, report = from_checkpoint(golden['state_dict'], mask_token=True, **unseen(golden))
    assert report.missing == report.unexpected == report.fresh == []
    found = backbone.eval().forward_tokens(golden['img'], golden['mask'].bool())
    same('encoder_featmap', found, golden['encoder_featmap'])


@pytest.mark.golden(FAMILY, needs=['finetune'])
def test_classifier(golden, same, official_vit, left_out, own_table) -> None:
    tuned = golden['finetune']
    own_tables = any('relative_position_bias_table' in key for key in tuned['state_dict'])
    backbone = official_vit(
        {**golden['config'], 'use_rel_pos_bias': own_tables}, final_norm=False, fc_norm=True
    )
    report = load_pretrained(backbone, golden['state_dict'])
    missing = {key for key in tuned['missing_keys'] if not key.endswith('position_index')}
    assert {*report.fresh, 'head.weight', 'head.bias'} == missing
    assert {*tuned['unexpected_keys']} <= left_out(report)

    state = backbone.state_dict()
    for key, value in tuned['state_dict'].items():
        if not key.startswith(('fc_norm', 'head')) and not key.endswith('position_index'):
            same(f'finetune.state_dict {key}', state[own_table(key)], value, atol=0)
    for name in ('weight', 'bias'):
        backbone.get_parameter(f'fc_norm.{name}').data = tuned['state_dict'][f'fc_norm.{name}']
    feature = backbone.forward_pooled(golden['img'])
    same('finetune.feature', feature, tuned['feature'])
    head = [tuned['state_dict'][f'head.{name}'] for name in ('weight', 'bias')]
    with torch.no_grad():
        same('finetune.logits', F.linear(feature, *head), tuned['logits'])
