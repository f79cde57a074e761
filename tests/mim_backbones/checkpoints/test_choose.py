"""Wrappers, and which of several models in a file is taken."""

import pytest
import torch
from mmengine.hooks import EMAHook
from mmengine.model import ExponentialMovingAverage
from torch import Tensor

from mim_backbones.backbones.vit import MIMViT
from mim_backbones.checkpoints.choose import choose_model
from mim_backbones.checkpoints.load import load_pretrained
from mim_backbones.checkpoints.safe.weights_file import CheckpointError
from mim_backbones.checkpoints.source import content_of


def vit() -> MIMViT:
    return MIMViT({'embed_dim': 16, 'depth': 1, 'num_heads': 2}, img_size=16, patch_size=8)


def state(value: float, prefix: str = '') -> dict[str, Tensor]:
    return {prefix + key: torch.full_like(t, value) for key, t in vit().state_dict().items()}


def taken(checkpoint: dict, weights: str = 'auto') -> tuple[float, str]:
    """The value of the weights that were loaded, and what the report says they are."""
    backbone = vit()
    report = load_pretrained(backbone, checkpoint, weights=weights)
    assert report.covered == 1
    return float(backbone.norm.weight.detach()[0]), report.weights


@pytest.mark.parametrize(
    'prefix',
    [
        '',
        'module.',
        'backbone.',
        'encoder.',
        'module.backbone.',
        '_orig_mod.',
        'module._orig_mod.backbone.',
        '_orig_mod.module.encoder.',
        '_fsdp_wrapped_module.backbone._fsdp_wrapped_module.',
        'model.module.',
    ],
)
@pytest.mark.parametrize('wrapper', [None, 'model', 'state_dict', 'module', 'net', 'model_state'])
def test_wrappers(prefix: str, wrapper: str | None) -> None:
    checkpoint = state(2.0, prefix)
    assert taken({wrapper: checkpoint, 'epoch': 3} if wrapper else checkpoint)[0] == 2


@pytest.mark.parametrize(
    'checkpoint',
    [
        {'model': state(1), 'model_ema': state(2)},
        {'state_dict': state(1), 'state_dict_ema': state(2)},
        {'model': state(1, 'module.'), 'ema': {'module': state(2)}},
        {'student': state(1, 'module.backbone.'), 'teacher': state(2, 'backbone.')},
    ],
    ids=['deit', 'timm', 'nested', 'dino'],
)
def test_averaged_weights_are_preferred_and_can_be_chosen(checkpoint: dict) -> None:
    assert taken(checkpoint) == (2, *taken(checkpoint, 'ema')[1:])
    assert 'averaged (EMA)' in taken(checkpoint)[1]
    value, where = taken(checkpoint, 'plain')
    assert value == 1
    assert where.startswith('plain weights')


def test_moco_v3_transfers_the_base_encoder() -> None:
    checkpoint = {
        'state_dict': {
            **state(1, 'module.base_encoder.'),
            **state(2, 'module.momentum_encoder.'),
        }
    }
    assert taken(checkpoint)[0] == 1
    assert taken(checkpoint, 'ema')[0] == 2


def test_mmengine_stores_averaged_weights_as_state_dict() -> None:
    # EMAHook swaps the two on saving; its own code makes the file here.
    model = torch.nn.Module()
    model.backbone = vit()
    model.backbone.load_state_dict(state(1))
    hook = EMAHook()
    hook.src_model, hook.ema_model = model, ExponentialMovingAverage(model)
    hook.ema_model.module.backbone.load_state_dict(state(2))
    checkpoint = {'state_dict': dict(model.state_dict())}
    hook.before_save_checkpoint(None, checkpoint)
    value, where = taken(checkpoint)
    assert value == 2
    assert where == "averaged (EMA) weights under 'state_dict.backbone.'"
    assert taken(checkpoint, 'plain')[0] == 1


def test_a_choice_the_file_does_not_offer() -> None:
    with pytest.raises(CheckpointError, match='no averaged'):
        taken({'model': state(1)}, 'ema')
    with pytest.raises(ValueError, match='known: auto, ema, plain'):
        taken({'model': state(1)}, 'best')


def test_two_backbones_that_nothing_tells_apart() -> None:
    with pytest.raises(CheckpointError, match=r"several backbones, under 'left\.' and 'right\.'"):
        taken({**state(1, 'left.'), **state(2, 'right.')})


def test_the_same_name_under_two_wrappers() -> None:
    with pytest.raises(CheckpointError, match='twice'):
        content_of({'norm.weight': torch.zeros(1), 'module.norm.weight': torch.ones(1)}, 'x')


def test_optimizer_tensors_are_no_weights() -> None:
    optimizer = {
        'state': {0: {'exp_avg': torch.zeros(2)}},
        'patch_embed.proj.weight': torch.ones(2),
    }
    content = content_of({'model': state(1), 'optimizer': optimizer, 'epoch': 3}, 'x')
    assert not any('optimizer' in key or 'exp_avg' in key for key in content.tensors)
    assert choose_model(content).prefix == 'model.'
