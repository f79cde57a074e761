"""Released files in `mimbench eval`: the backbone comes from their shapes."""

from argparse import Namespace
from pathlib import Path

import pytest
import torch

from downstream.evaluation.backbone_config import fitted
from downstream.evaluation.contestants import open_contestants
from mim_backbones.backbones.vit import MIMViT
from mim_backbones.errors import UserError
from mim_backbones.registry import MODELS

SIZE = {'embed_dim': 48, 'depth': 4, 'num_heads': 3}
RECIPE = {'img_size': 64, 'patch_size': 8, 'window_size': 4, 'drop_path_rate': 0.1}


def mae_file(folder: Path, **args) -> Path:
    """As facebookresearch/mae writes it."""
    state = MIMViT(SIZE, img_size=32, patch_size=8).state_dict()
    state |= {'decoder_embed.weight': torch.zeros(32, 48), 'mask_token': torch.zeros(1, 1, 32)}
    torch.save({'model': state, 'args': Namespace(**args), 'epoch': 1}, folder / 'mae.pth')
    return folder / 'mae.pth'


def beit_file(folder: Path) -> Path:
    options = dict(pos_embed='none', rel_pos_bias='shared', qkv_bias='qv', mask_token=True)
    state = MIMViT(SIZE, img_size=32, patch_size=8, **options).state_dict()
    state |= {'lm_head.weight': torch.zeros(8, 48)}
    torch.save({'model': state}, folder / 'beit.pth')
    return folder / 'beit.pth'


def test_the_architecture_is_read_from_the_file(tmp_path) -> None:
    (one,) = open_contestants([str(mae_file(tmp_path, num_heads=3))])
    assert one.backbone['arch'] == SIZE
    assert one.backbone['patch_size'] == 8
    assert one.method == 'unknown'


def test_what_shapes_do_not_show_is_asked_for(tmp_path) -> None:
    path = mae_file(tmp_path)
    with pytest.raises(UserError, match=r'mae\.pth.*heads.*--backbone KEY=VALUE.*--arch CONFIG'):
        open_contestants([str(path)])
    config = tmp_path / 'arch.py'
    config.write_text(
        f"model = dict(backbone=dict(type='mim_backbones.MIMViT', arch={SIZE}, patch_size=8))"
    )
    (one,) = open_contestants([str(path)], str(config))
    assert one.backbone['arch'] == SIZE


@pytest.mark.parametrize('task', ['detection', 'tracking'])
def test_the_tasks_backbones_load_a_beit(tmp_path, task: str) -> None:
    path = beit_file(tmp_path)
    (one,) = open_contestants([str(path)])
    recorded = one.backbone
    if task == 'tracking':  # as its job changes it
        recorded = {**recorded, 'cls_token': False}
    recipe = {**RECIPE, 'window_size': 0} if task == 'tracking' else RECIPE
    backbone = MODELS.build(fitted(recipe, recorded, str(path)))
    backbone.init_weights()
    state = torch.load(path, weights_only=True)['model']
    assert torch.equal(backbone.blocks[3].attn.q_bias, state['blocks.3.attn.q_bias'])
    if task == 'tracking':
        table = backbone.rel_pos_bias or backbone.blocks[0].rel_pos_bias
        assert table is not None  # the crops keep the positions the backbone was trained with
        assert backbone.encode(torch.randn(1, 13, 48), [(2, 2), (3, 3)]).shape == (1, 13, 48)
    else:
        assert backbone(torch.randn(1, 3, 64, 64))[0].shape == (1, 48, 8, 8)
