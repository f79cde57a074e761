"""Every SimMIM recipe builds in the Runner and trains a step: its geometry, a small model."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image

from mim_backbones.registry import MODELS
from mim_backbones.training.config import read_config
from mim_backbones.training.launch import build_runner
from pretrain.ablation.row import row_config
from pretrain.ablation.study import find_study
from pretrain.tokenizers.dalle import encoder_blocks

ROOT = Path(__file__).parents[3]
RECIPES = sorted((ROOT / 'configs/pretrain').glob('simmim*.py'))
STUDY = find_study('simmim')
ROWS = sorted(STUDY.folder.glob('*.py'))
AT_TIERS = [
    (tier, row) for axis in STUDY.axes.values() for tier in axis.at for row in axis.at[tier]
]
SMALL = {
    'MIMSwin': {'embed_dim': 8, 'depths': (1, 2, 1, 1), 'num_heads': (1, 1, 2, 2)},
    'MIMViT': {'embed_dim': 32, 'depth': 2, 'num_heads': 2},
}


@pytest.fixture(autouse=True)
def _unformatted_logs(monkeypatch) -> None:
    """mmengine formats the whole config anew for each of five logs: most of a short run's time."""
    monkeypatch.setattr(Config, 'pretty_text', property(lambda cfg: str(cfg.to_dict())))


@pytest.fixture(scope='module')
def images(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('images')
    rng = np.random.default_rng(0)
    for i in range(4):
        noise = rng.integers(0, 255, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(noise).resize((256, 256)).save(folder / f'{i}.jpg')
    return folder


def bring_files(cfg: Config, folder: Path) -> None:
    """What a user fits or has: a palette, DALL-E's encoder."""
    target = cfg.model.target
    if 'palette' in target:
        target.palette = str(folder / 'palette.json')
        (folder / 'palette.json').write_text(json.dumps({'centres': [[0, 0, 0], [1, 0.5, 0]]}))
    if 'tokenizer' in target:
        sizes = {
            'blocks.input.weight': torch.zeros(4, 3, 7, 7),
            'blocks.group_1.block_1': torch.zeros(1),
            'blocks.output.conv.weight': torch.zeros(16, 32, 1, 1),
        }
        state = encoder_blocks(sizes).state_dict()
        target.tokenizer.checkpoint = str(folder / 'encoder.pth')
        torch.save({f'blocks.{key}': value for key, value in state.items()},
                   folder / 'encoder.pth')  # fmt: skip


def train_a_step(path: Path, images: Path, out: Path) -> None:
    """One step of two images; model and head of the recipe's kind, but quick on one core."""
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
    cfg.visualizer = {'type': 'Visualizer', 'name': out.name, 'vis_backends': []}
    cfg.model.backbone.arch = SMALL[cfg.model.backbone.type.rpartition('.')[2]]
    if 'arch' in cfg.model.head:
        cfg.model.head.arch = SMALL['MIMSwin']
    bring_files(cfg, out)
    runner = build_runner(cfg)
    before = {name: value.clone() for name, value in runner.model.state_dict().items()}
    runner.train()
    assert runner.iter == 1
    after: dict[str, Any] = runner.model.state_dict()
    moved = {name for name, value in before.items() if not torch.equal(value, after[name])}
    assert any(name.startswith('backbone.') for name in moved)
    assert any(name.startswith('head.') for name in moved)
    assert all(torch.isfinite(value).all() for value in after.values())


@pytest.mark.parametrize('path', RECIPES, ids=lambda path: path.stem)
def test_recipe(path, images, tmp_path) -> None:
    train_a_step(path, images, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize('path', ROWS, ids=lambda path: path.stem)
def test_ablation_row(path, images, tmp_path) -> None:
    train_a_step(path, images, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(('tier', 'row'), AT_TIERS)
def test_ablation_row_at_a_tier(tier, row, images, tmp_path) -> None:
    size = STUDY.tiers[tier]
    path = tmp_path / f'{row}.py'
    path.write_text(row_config(STUDY.row_file(row, size).read_text(), size.base))
    train_a_step(path, images, tmp_path)


@pytest.mark.parametrize(('name', 'window'), [
    ('simmim', (6, 6, 6, 6)), ('simmim_swin-b_800e', (6, 6, 6, 6)),
    ('simmim_swin-l_800e', (12, 12, 12, 6)), ('simmim_swinv2-b_800e', (12, 12, 12, 6)),
])  # fmt: skip
def test_windows_of_the_stages(name, window) -> None:
    cfg = Config.fromfile(ROOT / f'configs/pretrain/{name}.py')
    backbone = MODELS.build({**cfg.model.backbone, 'arch': SMALL['MIMSwin']})
    plans = backbone._plans(backbone.grid)
    assert tuple(plan.size for plan in plans) == window
