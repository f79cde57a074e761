"""A small recipe with a base."""

from pathlib import Path

import pytest

RECIPE = """
_base_ = './base.py'
width = 32
model = dict(
    type='mim_backbones.MIMViT', patch_size=8, img_size=width,
    arch=dict(embed_dim=width, depth=1, num_heads=1))
"""
BASE = """
batch = 4  # a helper variable of the base
train_dataloader = dict(batch_size=batch, num_workers=0)
env_cfg = dict(cudnn_benchmark=False)
work_dir = 'x'
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    (tmp_path / 'base.py').write_text(BASE)
    (tmp_path / 'recipe.py').write_text(RECIPE)
    return tmp_path / 'recipe.py'
