"""MIMViT computes what timm's independent ViT, BEiT and DINOv2 compute with the same weights."""

import pytest
import timm
import torch
import torch.nn as nn

from mim_backbones import from_checkpoint
from mim_backbones.backbones.vit import MIMViT

SMALL = dict(patch_size=8, embed_dim=32, depth=3, num_heads=2, num_classes=0)


def timm_vit(name: str, **options) -> nn.Module:
    """Small and random, biases and tables too."""
    model = timm.create_model(name, **{**SMALL, 'img_size': 32, **options}).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


def features(model: nn.Module, image: torch.Tensor) -> torch.Tensor:
    """Patch tokens after the last block, no norm: (B, D, H/p, W/p)."""
    return model.forward_intermediates(image, indices=[2], intermediates_only=True)[0]


CASES = {
    'vit': ('vit_tiny_patch16_224', {}),
    'vit-no-class-token': ('vit_tiny_patch16_224', {'class_token': False, 'global_pool': 'avg'}),
    'beit': ('beitv2_base_patch16_224', {}),
    'dinov2': ('vit_small_patch14_reg4_dinov2', {}),
}


@pytest.mark.parametrize('case', CASES)
def test_features(case: str) -> None:
    name, options = CASES[case]
    theirs, image = timm_vit(name, **options), torch.randn(2, 3, 32, 32)
    ours, report = from_checkpoint(theirs.state_dict(), num_heads=2)
    assert report.missing == report.unexpected == report.fresh == []
    (found,) = ours.eval().intermediates(image, (-1,))
    torch.testing.assert_close(found, features(theirs, image), atol=1e-5, rtol=0)


def test_pooled_features() -> None:
    """BEiT v2's classifier: the mean patch token, normed."""
    theirs, image = timm_vit('beitv2_base_patch16_224'), torch.randn(2, 3, 32, 32)
    ours, _ = from_checkpoint(theirs.state_dict(), num_heads=2, final_norm=False, fc_norm=True)
    expected = theirs.forward_head(theirs.forward_features(image), pre_logits=True)
    torch.testing.assert_close(ours.eval().forward_pooled(image), expected, atol=1e-5, rtol=0)


def test_visible_tokens() -> None:
    """timm drops tokens at random; here with the places it drew."""
    theirs = timm_vit('vit_tiny_patch16_224', patch_drop_rate=0.5, final_norm=True)
    ours = MIMViT({'embed_dim': 32, 'depth': 3, 'num_heads': 2}, img_size=32, patch_size=8).eval()
    ours.load_state_dict(theirs.state_dict())
    image = torch.randn(2, 3, 32, 32)
    theirs.patch_drop.train()
    torch.manual_seed(1)
    expected = theirs.forward_features(image)
    torch.manual_seed(1)
    keep = torch.randn(2, 16).argsort(dim=-1)[:, :8]  # timm's PatchDropout
    found = ours.forward_visible(image, keep=keep)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
