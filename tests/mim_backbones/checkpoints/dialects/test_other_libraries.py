"""Real classes of timm, mmsegmentation and mmdetection, small: their weights, their features."""

import pytest
import timm
import torch
import torch.nn as nn

from mim_backbones import from_checkpoint
from mim_backbones.backbones.base import MIMBackbone


def randomise(model: nn.Module) -> None:
    """Also what starts at zero or one, so that a swapped or dropped weight shows."""
    torch.manual_seed(0)
    for parameter in model.parameters():
        nn.init.normal_(parameter, 0.05, 0.2)
    model.eval()


def loaded(checkpoint: dict, **overrides) -> tuple[MIMBackbone, str]:
    backbone, report = from_checkpoint(checkpoint, **overrides)
    assert report.covered == 1
    return backbone.eval(), report.dialect


SMALL = dict(embed_dim=48, depth=3, num_heads=4)
TIMM = {
    'vit_tiny_patch16_224': (SMALL, dict(num_heads=4)),
    'vit_small_patch14_reg4_dinov2': (
        SMALL | dict(img_size=70), dict(num_heads=4),
    ),
    'deit3_small_patch16_224': (SMALL, dict(num_heads=4)),
    'deit_tiny_distilled_patch16_224': (SMALL, dict(num_heads=4)),
    'beitv2_base_patch16_224': (SMALL, {}),
    'vit_base_patch16_siglip_224': (SMALL, dict(num_heads=4, act='gelu')),
}  # fmt: skip


@torch.inference_mode()
@pytest.mark.parametrize('name', TIMM)
def test_timm_vit(name: str) -> None:
    options, asked = TIMM[name]
    model = timm.create_model(name, **options)
    randomise(model)
    backbone, dialect = loaded(model.state_dict(), **asked)
    assert dialect.startswith('timm')
    image = torch.randn(2, 3, *model.patch_embed.img_size)
    tokens = model.forward_features(image)[:, model.num_prefix_tokens :]
    found = backbone(image)[0].flatten(2).transpose(1, 2)
    torch.testing.assert_close(found, tokens, atol=2e-5, rtol=1e-4)


@torch.inference_mode()
@pytest.mark.parametrize('name', ['swin_tiny_patch4_window7_224', 'swinv2_tiny_window8_256'])
def test_timm_swin(name: str) -> None:
    model = timm.create_model(name, embed_dim=24, depths=(2, 2, 2, 2), num_heads=(1, 2, 4, 8))
    randomise(model)
    asked = dict(window_size=8) if 'v2' in name else {}
    backbone, _ = loaded(model.state_dict(), **asked)
    image = torch.randn(1, 3, *model.patch_embed.img_size)
    expected = model.forward_features(image).permute(0, 3, 1, 2)
    torch.testing.assert_close(backbone(image)[0], expected, atol=2e-5, rtol=1e-4)


@torch.inference_mode()
def test_timm_hiera() -> None:
    model = timm.create_model('hiera_tiny_224', embed_dim=24, stages=(1, 2, 2, 1))
    randomise(model)
    backbone, _ = loaded(model.state_dict(), num_heads=1)
    image = torch.randn(1, 3, 224, 224)
    for found, expected in zip(backbone(image), model.forward_intermediates(image)[1]):
        torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-4)


@torch.inference_mode()
@pytest.mark.parametrize('kind', ['BEiT', 'MAE', 'VisionTransformer', 'SwinTransformer'])
def test_mmsegmentation(kind: str) -> None:
    import mmseg.models.backbones as backbones

    if kind == 'SwinTransformer':
        options = dict(
            embed_dims=12, depths=(2, 2), num_heads=(1, 2), strides=(4, 2), out_indices=(0, 1)
        )
    else:
        options = dict(img_size=64, embed_dims=48, num_layers=2, num_heads=4, out_indices=[0, 1])
    model = getattr(backbones, kind)(**options)
    randomise(model)
    state = {f'backbone.{key}': value for key, value in model.state_dict().items()}
    head = {'decode_head.conv_seg.weight': torch.zeros(1)}
    asked = {} if kind == 'SwinTransformer' else dict(num_heads=4, out_indices=(0, 1))
    if kind == 'VisionTransformer':
        asked['norm_eps'] = 1e-5  # of the class; released configs set 1e-6
    backbone, dialect = loaded({'state_dict': state | head}, **asked)
    assert dialect.startswith('mmsegmentation')
    image = torch.randn(1, 3, *((100, 132) if kind == 'SwinTransformer' else (64, 64)))
    for found, expected in zip(backbone(image), model(image), strict=True):
        torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-4)


@torch.inference_mode()
def test_mmdetection_swin() -> None:
    from mmdet.models.backbones import SwinTransformer

    model = SwinTransformer(embed_dims=12, depths=(2, 2, 2, 2), num_heads=(1, 2, 3, 4))
    randomise(model)
    state = {f'backbone.{key}': value for key, value in model.state_dict().items()}
    backbone, dialect = loaded({'state_dict': state | {'rpn_head.rpn_cls.bias': torch.zeros(3)}})
    assert dialect == 'mmdetection Swin'
    image = torch.randn(1, 3, 100, 132)
    for found, expected in zip(backbone(image), model(image), strict=True):
        torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-4)
