"""Every SimMIM recipe builds in the Runner and trains a step: its geometry, a small model."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image

from mim_backbones.training.launch import build_runner, read_config

ROOT = Path(__file__).parents[2]
RECIPES = sorted((ROOT / 'configs/pretrain').glob('simmim*.py'))
ROWS = sorted((ROOT / 'configs/pretrain/ablation/simmim').glob('*.py'))
SMALL = {
    'MIMSwin': {'embed_dim': 8, 'depths': (1, 2, 1, 1), 'num_heads': (1, 1, 2, 2)},
    'MIMViT': {'embed_dim': 32, 'depth': 2, 'num_heads': 2},
}


@pytest.fixture(scope='module')
def images(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('images')
    rng = np.random.default_rng(0)
    for i in range(4):
        noise = rng.integers(0, 255, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(noise).resize((256, 256)).save(folder / f'{i}.jpg')
    return folder


def small(path: Path, images: Path, out: Path) -> Config:
    """One step of two images, and a model of the recipe's kind that is quick on one core."""
    cfg = read_config(
        path,
        {
            'train_dataloader.dataset.root': str(images),
            'train_dataloader.batch_size': 2,
            'train_dataloader.num_workers': 0,
            'train_dataloader.persistent_workers': False,
            'train_dataloader.sampler.samples_per_epoch': 2,
            'train_cfg.max_epochs': 1,
            'optim_wrapper.precision': 'fp32',
        },
    )
    cfg.work_dir = str(out)
    cfg.visualizer = {'type': 'Visualizer', 'vis_backends': [{'type': 'LocalVisBackend'}]}
    kind = cfg.model.backbone.type.rpartition('.')[2]
    cfg.model.backbone.arch = SMALL[kind]
    return cfg


def step(cfg: Config) -> tuple[Any, dict[str, torch.Tensor]]:
    """The runner after its one step, and the weights before."""
    runner = build_runner(cfg)
    before = {name: value.clone() for name, value in runner.model.state_dict().items()}
    runner.train()
    assert runner.iter == 1
    return runner, before


@pytest.mark.parametrize('path', RECIPES + ROWS, ids=lambda path: path.stem)
def test_builds_and_trains_a_step(path, images, tmp_path) -> None:
    runner, before = step(small(path, images, tmp_path))
    after = runner.model.state_dict()
    moved = {name for name, value in before.items() if not torch.equal(value, after[name])}
    assert any(name.startswith('backbone.') for name in moved)
    assert any(name.startswith('head.') for name in moved)
    assert all(torch.isfinite(value).all() for value in after.values())


@pytest.mark.parametrize(('name', 'window'), [
    ('simmim', (6, 6, 6, 6)), ('simmim_swin-b_800e', (6, 6, 6, 6)),
    ('simmim_swin-l_800e', (12, 12, 12, 6)),
])  # fmt: skip
def test_windows_of_the_stages(name, window) -> None:
    from mim_backbones.registry import MODELS

    cfg = Config.fromfile(ROOT / f'configs/pretrain/{name}.py')
    backbone = MODELS.build({**cfg.model.backbone, 'arch': SMALL['MIMSwin']})
    plans = backbone._plans(backbone.grid)
    assert tuple(plan.size for plan in plans) == window
