"""SimMIM with Swin: masked encoder, reconstruction, loss and gradients; the plain classifier."""

from typing import Any

import pytest
import torch

from mim_backbones.backbones.swin import MIMSwin
from mim_backbones.checkpoints.load import load_pretrained
from pretrain.methods.simmim import SimMIM

FAMILY = 'simmim_swin_w'
AS_IT_IS = {'mean': (0.0,), 'std': (1.0,)}  # the file's images are normalised already


def swin_options(config: dict[str, Any]) -> dict[str, Any]:
    """Constructor arguments of MIMSwin for the official ones."""
    return {
        'arch': {key: config[key] for key in ('embed_dim', 'depths', 'num_heads')},
        'img_size': config['img_size'],
        'patch_size': config['patch_size'],
        'in_channels': config['in_chans'],
        'window_size': config['window_size'],
        'mlp_ratio': config['mlp_ratio'],
        'qkv_bias': config['qkv_bias'],
        'absolute_pos_embed': config['ape'],
        'patch_norm': config['patch_norm'],
        'norm_eps': config['norm_eps'],
    }


@pytest.mark.golden(FAMILY, needs=['encoder_featmap'])
def test_masked_encoder(golden, same) -> None:
    backbone = MIMSwin(**swin_options(golden['config']), mask_token=True).eval()
    load_pretrained(backbone, golden['state_dict'])
    outputs = []  # of every stage, the merging that follows it included
    for stage in backbone.layers[:-1]:
        stage.downsample.register_forward_hook(lambda *call: outputs.append(call[2].flatten(1, 2)))
    backbone.norm.register_forward_pre_hook(lambda _, x: outputs.append(x[0].flatten(1, 2)))
    feature = backbone.forward_tokens(golden['img'], golden['mask'].bool())
    same('encoder_featmap', feature, golden['encoder_featmap'])
    if 'stage_outputs_after_downsample' in golden:
        same('stage_outputs_after_downsample', outputs, golden['stage_outputs_after_downsample'])


@pytest.mark.golden(FAMILY, needs=['reconstruction', 'loss', 'grads'])
def test_reconstruction_loss_and_gradients(golden, same) -> None:
    config, state = golden['config'], golden['state_dict']
    options = swin_options(config)
    backbone = {'type': 'mim_backbones.MIMSwin', 'mask_token': True, **options}
    in_dim = config['embed_dim'] * 2 ** (len(config['depths']) - 1)
    head = {
        'type': 'PixelShuffleHead', 'in_dim': in_dim, 'channels': config['in_chans'],
        'stride': config['encoder_stride'],
    }  # fmt: skip
    target = {'type': 'PixelTarget', 'channels': config['in_chans'], **AS_IT_IS}
    model = SimMIM(backbone, target=target, head=head, **AS_IT_IS).eval()
    load_pretrained(model.backbone, state)
    model.head.project.load_state_dict({k: state[f'decoder.0.{k}'] for k in ('weight', 'bias')})

    image, mask = golden['img'], golden['mask'].bool()
    same('reconstruction', model.predict(image, mask), golden['reconstruction'])
    loss = model(image, mask, mode='loss')['loss']
    same('loss', loss, golden['loss'])
    loss.backward()
    parameters = dict(model.named_parameters())
    for name, expected in golden['grads'].items():
        own = name.replace('encoder.', 'backbone.', 1).replace('decoder.0.', 'head.project.', 1)
        same(f'grads {name}', parameters[own].grad, expected)


@pytest.mark.golden(FAMILY, needs=['classifier_same_size'])
def test_classifier(golden, same) -> None:
    expected = golden['classifier_same_size']
    options = swin_options(golden['config'])
    classifier = MIMSwin(**options).eval()
    load_pretrained(classifier, golden['state_dict'])
    same('pooled', classifier.forward_pooled(golden['img']), expected['pooled'])

    stages = range(len(golden['config']['depths']))
    raw = MIMSwin(**options, out_indices=stages, small_maps='shrink', output_norm='none').eval()
    load_pretrained(raw, golden['state_dict'])
    with torch.no_grad():
        maps = raw(golden['img'])
    same('pre_norm_stage_features', maps, expected['pre_norm_stage_features'])
