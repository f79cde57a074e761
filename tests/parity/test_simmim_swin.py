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
    """Constructor arguments of MIMSwin for the official ones, or for its defaults."""
    return {
        'arch': {key: config[key] for key in ('embed_dim', 'depths', 'num_heads')},
        'img_size': config['img_size'],
        'patch_size': config['patch_size'],
        'in_channels': config.get('in_chans', 3),
        'window_size': config['window_size'],
        'mlp_ratio': config.get('mlp_ratio', 4.0),
        'qkv_bias': config.get('qkv_bias', True),
        'absolute_pos_embed': config.get('ape', False),
        'patch_norm': config.get('patch_norm', True),
        'norm_eps': config.get('norm_eps', 1e-5),
    }


@pytest.mark.golden(FAMILY, each=['encoder_featmap', 'stage_outputs_after_downsample'])
def test_masked_encoder(golden, field, same) -> None:
    backbone = MIMSwin(**swin_options(golden['config']), mask_token=True).eval()
    load_pretrained(backbone, golden['state_dict'])
    outputs = []  # of every stage, the merging that follows it included
    for stage in backbone.layers[:-1]:
        stage.downsample.register_forward_hook(lambda *call: outputs.append(call[2].flatten(1, 2)))
    backbone.norm.register_forward_pre_hook(lambda _, x: outputs.append(x[0].flatten(1, 2)))
    feature = backbone.forward_tokens(golden['img'], golden['mask'].bool())
    same(field, feature if field == 'encoder_featmap' else outputs, golden[field])


@pytest.fixture
def model(golden) -> SimMIM:
    config, state = golden['config'], golden['state_dict']
    options = swin_options(config)
    channels, stages = options['in_channels'], len(config['depths'])
    head = {
        'type': 'PixelShuffleHead', 'channels': channels,
        'in_dim': config['embed_dim'] * 2 ** (stages - 1),
        'stride': config['patch_size'] * 2 ** (stages - 1),
    }  # fmt: skip
    backbone = {'type': 'mim_backbones.MIMSwin', 'mask_token': True, **options}
    target = {'type': 'PixelTarget', 'channels': channels, **AS_IT_IS}
    model = SimMIM(backbone, target=target, head=head, **AS_IT_IS).eval()
    load_pretrained(model.backbone, state)
    model.head.project.load_state_dict({k: state[f'decoder.0.{k}'] for k in ('weight', 'bias')})
    return model


DECODER = 'state_dict.decoder.0.weight'


@pytest.mark.golden(FAMILY, needs=[DECODER], each=['reconstruction', 'loss'])
def test_reconstruction_and_loss(golden, field, same, model) -> None:
    image, mask = golden['img'], golden['mask'].bool()
    found = {
        'reconstruction': lambda: model.predict(image, mask),
        'loss': lambda: model(image, mask, mode='loss')['loss'],
    }
    same(field, found[field](), golden[field])


@pytest.mark.golden(FAMILY, needs=[DECODER, 'grads'])
def test_gradients(golden, same, model) -> None:
    model(golden['img'], golden['mask'].bool(), mode='loss')['loss'].backward()
    for name, expected in golden['grads'].items():
        own = name.replace('encoder.', 'backbone.', 1).replace('decoder.0.', 'head.project.', 1)
        same(f'grads {name}', model.get_parameter(own).grad, expected)


CLASSIFIER = 'classifier_same_size'


@pytest.mark.golden(FAMILY, needs=[f'{CLASSIFIER}.pooled'])
def test_pooled_feature(golden, same) -> None:
    classifier = MIMSwin(**swin_options(golden['config'])).eval()
    load_pretrained(classifier, golden['state_dict'])
    same('pooled', classifier.forward_pooled(golden['img']), golden[CLASSIFIER]['pooled'])


@pytest.mark.golden(FAMILY, needs=[f'{CLASSIFIER}.pre_norm_stage_features'])
def test_maps_before_any_norm(golden, same) -> None:
    options, stages = swin_options(golden['config']), range(len(golden['config']['depths']))
    raw = MIMSwin(**options, out_indices=stages, small_maps='shrink', output_norm='none').eval()
    load_pretrained(raw, golden['state_dict'])
    with torch.no_grad():
        maps = raw(golden['img'])
    expected = golden[CLASSIFIER]['pre_norm_stage_features']
    same('pre_norm_stage_features', maps, expected)
