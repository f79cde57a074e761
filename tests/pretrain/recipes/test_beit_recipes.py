"""BEiT's and BEiT v2's recipes: the published table, a step each, and two processes."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mim_backbones.training.config import read_config

ROOT = Path(__file__).parents[3]
RECIPES = {path.stem: path for path in sorted((ROOT / 'configs/pretrain').glob('beit*.py'))}


@pytest.fixture(scope='module')
def images(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('images')
    rng = np.random.default_rng(0)
    for i in range(4):
        coarse = rng.integers(0, 255, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((256, 256)).save(folder / f'{i}.jpg')
    return folder


def table(name: str) -> tuple:
    cfg = read_config(RECIPES[name])
    optimizer, backbone = cfg.optim_wrapper.optimizer, cfg.model.backbone
    return (cfg.train_cfg.max_epochs, backbone.arch, optimizer.betas, backbone.drop_path_rate,
            backbone.layer_scale, cfg.model.get('early_layers'))  # fmt: skip


# Reference table of the released recipes (beit2/PRETRAINING.md; beit/README.md for BEiT).
@pytest.mark.parametrize(('name', 'row'), [
    ('beitv2', (300, 'base', (0.9, 0.98), 0.0, 0.1, 9)),
    ('beitv2_base_1600e', (1600, 'base', (0.9, 0.999), 0.1, 0.1, 9)),
    ('beitv2_large_300e', (300, 'large', (0.9, 0.98), 0.0, 1e-5, 21)),
    ('beitv2_large_1600e', (1600, 'large', (0.9, 0.999), 0.1, 1e-5, 21)),
    ('beit', (800, 'base', (0.9, 0.999), 0.1, 0.1, None)),
])  # fmt: skip
def test_published_table(name: str, row: tuple) -> None:
    assert table(name) == row
    cfg = read_config(RECIPES[name])
    assert cfg.auto_scale_lr.base_batch_size == 2048
    assert cfg.optim_wrapper.clip_grad == dict(max_norm=3.0)
    assert (cfg.optim_wrapper.optimizer.lr, cfg.optim_wrapper.optimizer.weight_decay) == (
        1.5e-3, 0.05)  # fmt: skip


def start(recipe: str, work_dir: Path, images: Path, *options: str, processes: int = 0):
    launch = [sys.executable, 'tools/train.py', f'configs/pretrain/{recipe}.py']
    environment = {**os.environ, 'OMP_NUM_THREADS': '1'}
    if processes:
        launch = ['bash', 'tools/dist_train.sh', f'configs/pretrain/{recipe}.py', str(processes)]
        environment |= {'PYTHON': sys.executable, 'MIMBENCH_VENV': 'none'}
    command = [
        *launch, '--work-dir', str(work_dir), '--cfg-options',
        f'train_dataloader.dataset.root={images}', 'train_dataloader.num_workers=0',
        'train_dataloader.persistent_workers=False', *options,
    ]  # fmt: skip
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


@pytest.mark.slow
def test_two_gloo_processes_train(images: Path, tmp_path: Path) -> None:
    found = start(
        'beitv2', tmp_path / 'run', images,
        'model.backbone.arch=tiny', 'model.target.tokenizer.arch=tiny',
        'model.target.tokenizer.random_weights=True', 'model.target.tokenizer.codes=64',
        'train_dataloader.batch_size=2', 'auto_scale_lr.base_batch_size=4',
        'train_cfg.max_epochs=1', 'default_hooks.logger.interval=1', 'optim_wrapper.precision=fp32',
        processes=2,
    )  # fmt: skip
    said = found.stdout + found.stderr
    assert found.returncode == 0, said[-3000:]
    for name in ('loss_mim', 'loss_cls', 'accuracy_mim', 'accuracy_cls'):
        assert re.search(rf' {name}: [\d.]+', said), name
    assert (tmp_path / 'run' / 'epoch_1.pth').is_file()


@pytest.mark.slow
@pytest.mark.parametrize(('recipe', 'options', 'message'), [
    ('beitv2', ['model.target.tokenizer.checkpoint=no/tok.pth'],
     r'needs a VQ-KD tokenizer, and no/tok.pth does not exist; train one with configs/pretrain/vq'),
    ('beitv2', ['model.target.tokenizer.random_weights=True', 'model.target.input_size=192'],
     'VQKDTokenizer at 192 px gives a 12x12 grid, MIMViT has 14x14 tokens'),
    ('beit', [], 'data/dall-e/encoder.pkl'),
])  # fmt: skip
def test_mistakes_end_in_one_line(images, tmp_path, recipe, options, message) -> None:
    tiny = (
        ['model.backbone.arch=tiny', 'model.target.tokenizer.arch=tiny']
        if recipe == 'beitv2'
        else []
    )
    found = start(recipe, tmp_path / 'x', images, *tiny, *options)
    assert found.returncode == 2
    assert re.search(message, found.stderr.strip().splitlines()[-1]), found.stderr[-1500:]
