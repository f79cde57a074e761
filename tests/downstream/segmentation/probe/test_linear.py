"""The linear probe: what it computes, and that it learns from features that nothing has trained."""

import pytest
import torch

from downstream.segmentation.probe.linear import LinearProbe


def test_it_is_batch_norm_and_one_layer_on_joined_maps() -> None:
    head = LinearProbe([2, 3], 4, dropout_ratio=0.0).eval()
    maps = (torch.randn(1, 2, 4, 6), torch.randn(1, 3, 2, 3))
    enlarged = torch.nn.functional.interpolate(maps[1], (4, 6), mode='bilinear')
    joined = torch.cat([maps[0], enlarged], 1) / (1 + 1e-5) ** 0.5  # statistics 0 and 1
    weight, bias = head.conv_seg.weight[:, :, 0, 0], head.conv_seg.bias
    by_hand = torch.einsum('kc,bchw->bkhw', weight, joined) + bias[:, None, None]
    assert torch.allclose(head(maps), by_hand, atol=1e-6)
    names = {name for name, _ in head.named_parameters()}
    assert names == {'norm.weight', 'norm.bias', 'conv_seg.weight', 'conv_seg.bias'}
    plain = LinearProbe([2], 4, norm='none', dropout_ratio=0.0)
    assert {name for name, _ in plain.named_parameters()} == {'conv_seg.weight', 'conv_seg.bias'}
    with pytest.raises(ValueError, match="norm='layer'; known: batch, none"):
        LinearProbe([2], 4, norm='layer')


def test_gradients_end_at_the_maps() -> None:
    head, maps = LinearProbe([2], 3), (torch.randn(2, 2, 4, 4),)
    head(maps).sum().backward()
    assert maps[0].grad is None
    assert all(each.grad is not None for each in head.parameters())
