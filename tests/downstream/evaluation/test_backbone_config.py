import pytest

from downstream.evaluation.backbone_config import architecture_name, spread, task_backbone
from mim_backbones.registry import MODELS

RECIPE = {'img_size': 128, 'patch_size': 8, 'window_size': 4, 'drop_path_rate': 0.1}
SMALL = {'arch': {'embed_dim': 32, 'depth': 4, 'num_heads': 2}, 'img_size': 64, 'patch_size': 8}


def test_blocks_are_spread_evenly_to_the_last():
    assert spread(12, 4) == (2, 5, 8, 11)
    assert spread(6, 2) == (2, 5)
    assert spread(24, 1) == (23,)


def test_absolute_positions_get_windows_of_the_same_pixels():
    config = task_backbone({**SMALL, 'type': 'MIMViT', 'patch_size': 16}, RECIPE, 'a.pth')
    assert config['window_size'] == 2  # 32 px, as 4 patches of 8 in the recipe
    assert config['global_blocks'] == (1, 3)
    assert config['cls_token'] is False
    assert config['mask_token'] is False
    assert config['img_size'] == 128
    assert config['init_cfg'] == {'type': 'Pretrained', 'checkpoint': 'a.pth'}
    assert MODELS.build(config).patch_size == 16


def test_relative_positions_keep_global_attention_and_cls():
    recorded = {**SMALL, 'type': 'mim_backbones.MIMViT', 'rel_pos_bias': 'shared'}
    config = task_backbone(recorded, RECIPE, None)
    assert 'window_size' not in config
    assert 'cls_token' not in config
    assert MODELS.build(config).num_prefix == 1


def test_segmentation_takes_several_blocks():
    config = task_backbone({**SMALL, 'type': 'MIMViT'}, {**RECIPE, 'window_size': 0}, None, 4)
    assert config['out_indices'] == (0, 1, 2, 3)
    assert 'window_size' not in config


@pytest.mark.parametrize(
    ('config', 'name'),
    [
        ({'type': 'mim_backbones.MIMViT', 'arch': 'tiny', 'patch_size': 16}, 'MIMViT tiny/16'),
        ({'type': 'MIMViT', **SMALL}, 'MIMViT 32x4/8'),
    ],
)
def test_architecture_name(config, name):
    assert architecture_name(config) == name
