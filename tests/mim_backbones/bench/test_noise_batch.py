import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

from mim_backbones.bench.noise_batch import noise_batch
from mim_backbones.errors import UserError


def test_a_recipe_makes_its_own_kind_of_batch():
    cfg = Config.fromfile('configs/pretrain/simmim_demo.py')
    with DefaultScope.overwrite_default_scope('pretrain'):
        model = MODELS.build(cfg.model)
        batch, again = noise_batch(cfg, 3, model), noise_batch(cfg, 3, model)
    assert batch['image'].shape == (3, 3, 64, 64)
    assert batch['image'].dtype == torch.uint8
    assert batch['mask'].shape == (3, 8, 8)
    assert torch.equal(batch['image'], again['image'])
    assert cfg.train_dataloader.dataset.root == 'data/imagenet/train'  # the recipe stays as it is


def test_a_recipe_without_a_folder_of_images_is_refused():
    cfg = Config({'train_dataloader': {'dataset': {'type': 'CocoDataset', 'data_root': 'x'}}})
    with pytest.raises(UserError, match='has no `root`'):
        noise_batch(cfg, 2)
