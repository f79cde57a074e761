"""MAE-Lite's SimMIM: a Swin with the light decoder; features, reconstruction, loss, gradients."""

import pytest
import torch

from mim_backbones.checkpoints.source import open_source
from pretrain.methods.load import load_weights
from pretrain.methods.simmim import SimMIM

FAMILY = 'simmim_lite_swin'
AS_IT_IS = dict(mean=(0.0,), std=(1.0,))  # the file's images are normalised already


@pytest.fixture
def model(golden) -> SimMIM:
    """Loaded as a released file is, below `module.model.`."""
    config = golden['config']
    whole = SimMIM(
        backbone=dict(
            type='mim_backbones.MIMSwin',
            mask_token=True,
            arch={key: config[key] for key in ('embed_dim', 'depths', 'num_heads')},
            img_size=config['img_size'],
            window_size=config['window_size'],
            norm_eps=config['norm_eps'],
        ),
        target=dict(type='PixelTarget', **AS_IT_IS),
        head=dict(
            type='SwinBlockHead',
            embed_dim=config['decoder_embed_dim'],
            num_heads=config['decoder_num_heads'],
            window_size=config['img_size'] // config['encoder_stride'],
        ),
        **AS_IT_IS,
    )
    state = {f'module.model.{name}': value for name, value in golden['state_dict'].items()}
    assert load_weights(whole, open_source({'model': state}), exact=False) == []
    return whole.eval()


@pytest.mark.golden(FAMILY)
def test_feature_reconstruction_and_loss(golden, same, model) -> None:
    image, mask = golden['img'], golden['mask'].bool()
    same('feature', model.backbone.forward_tokens(image, mask), golden['feature'])
    pred = model.predict(image, mask)
    same('pred', pred[:, :, ::4, ::4], golden['pred'])
    same('loss', model(image, mask, mode='loss')['loss'], golden['loss'], atol=1e-6)


@pytest.mark.golden(FAMILY)
def test_gradients(golden, same, model) -> None:
    model(golden['img'], golden['mask'].bool(), mode='loss')['loss'].backward()
    for name, gradient in golden['grads'].items():
        own = SimMIM.own_names({name: gradient, 'decoder_pred.0.weight': torch.zeros(1)})
        own.pop('head.project.weight')
        inside = name.startswith('encoder.')  # its norm is the last stage's here
        found = name.replace('encoder.', 'backbone.', 1) if inside else next(iter(own), name)
        same(f'grads {name}', model.get_parameter(found).grad, gradient)
