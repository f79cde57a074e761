import socket
import time

import pytest
import timm
import torch

from mim_backbones import from_checkpoint
from mim_backbones.checkpoints.safe.weights_file import CheckpointError


def test_a_name_with_a_local_file_knows_its_heads(tmp_path) -> None:
    # 192 wide: 3 heads in DeiT, 12 in MAE-Lite. The name tells.
    state = timm.create_model('deit_tiny_patch16_224', num_classes=0).state_dict()
    torch.save(state, tmp_path / 'deit.pth')
    with pytest.raises(CheckpointError, match='give num_heads'):
        from_checkpoint(tmp_path / 'deit.pth')
    source = f'timm:deit_tiny_patch16_224@{tmp_path / "deit.pth"}'
    backbone, report = from_checkpoint(source)
    assert backbone.num_heads == 3
    assert report.source == source
    assert torch.equal(backbone.norm.weight, state['norm.weight'])


def test_a_pretrained_model(monkeypatch) -> None:
    real = timm.create_model
    monkeypatch.setattr(
        timm, 'create_model', lambda name, pretrained: real(name, pretrained=False, depth=2)
    )
    backbone, report = from_checkpoint('timm:vit_small_patch16_224')
    assert (backbone.depth, backbone.num_heads) == (2, 6)
    assert report.source == 'timm:vit_small_patch16_224'


def test_unknown_name_and_no_network(monkeypatch) -> None:
    with pytest.raises(CheckpointError, match=r"timm knows no model 'resvit'"):
        from_checkpoint('timm:resvit')

    def offline(name: str, pretrained: bool) -> None:
        raise ConnectionError('no route to host\nsecond line')

    monkeypatch.setattr(timm, 'create_model', offline)
    with pytest.raises(CheckpointError, match=r'cannot be had \(no route to host\).*@FILE'):
        from_checkpoint('timm:vit_tiny_patch16_224')


def test_without_a_network_it_says_so_at_once(monkeypatch, tmp_path) -> None:
    """The hub's client asks again for most of a minute before it gives up."""

    def unreachable(*_: object, **__: object) -> None:
        raise OSError('no route to host')

    for name in ('http_proxy', 'https_proxy', 'HTTP_PROXY', 'HTTPS_PROXY', 'all_proxy'):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(socket, 'create_connection', unreachable)
    monkeypatch.setattr('huggingface_hub.constants.HF_HUB_CACHE', str(tmp_path))
    start = time.monotonic()
    with pytest.raises(CheckpointError, match=r'cannot be had .*@FILE'):
        from_checkpoint('timm:vit_tiny_patch16_224')
    assert time.monotonic() - start < 15
