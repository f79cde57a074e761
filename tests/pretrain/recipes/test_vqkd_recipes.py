"""The VQ-KD recipes against the published table; each builds in the Runner and trains a step."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image

from mim_backbones.errors import UserError
from mim_backbones.training.config import read_config
from mim_backbones.training.launch import build_runner

ROOT = Path(__file__).parents[3]
NAMES = ('vqkd', 'vqkd_dec3_clip', 'vqkd_dec1_dino')
RECIPES = {name: ROOT / f'configs/pretrain/{name}.py' for name in NAMES}
SMALL = {'embed_dim': 32, 'depth': 2, 'num_heads': 2}


# beit2/TOKENIZER.md: decoder depth and teacher are in the names of the released tokenizers.
@pytest.mark.parametrize(('name', 'depth', 'teacher'), [
    ('vqkd', 1, 'CLIPTeacher'), ('vqkd_dec3_clip', 3, 'CLIPTeacher'),
    ('vqkd_dec1_dino', 1, 'DINOTeacher'),
])  # fmt: skip
def test_published_table(name, depth, teacher) -> None:
    cfg = read_config(RECIPES[name])
    assert cfg.model.decoder.arch == {'embed_dim': 768, 'depth': depth, 'num_heads': 12}
    assert cfg.model.teacher.type == teacher
    assert (cfg.model.codebook.codes, cfg.model.codebook.dim) == (8192, 32)
    optimizer = cfg.optim_wrapper.optimizer
    assert optimizer.lr == pytest.approx(2e-4)
    assert (tuple(optimizer.betas), optimizer.weight_decay) == ((0.9, 0.99), 1e-4)
    (schedule,) = cfg.param_scheduler
    assert schedule.min_ratio * optimizer.lr == pytest.approx(1e-5)
    assert (schedule.warmup, cfg.train_cfg.max_epochs) == (10, 100)
    assert 'clip_grad' not in cfg.optim_wrapper


def small(name: str, folder: Path) -> Config:
    images = folder / 'images'
    images.mkdir(exist_ok=True)
    for i in range(4):
        noise = np.random.default_rng(i).integers(0, 255, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(noise).save(images / f'{i}.png')
    options = {
        'train_dataloader.dataset.root': str(images), 'train_dataloader.dataset.img_size': 32,
        'train_dataloader.batch_size': 4,
        'train_dataloader.num_workers': 0, 'train_dataloader.persistent_workers': False,
        'train_cfg.max_epochs': 1, 'optim_wrapper.precision': 'fp32',
        'model.backbone.img_size': 32, 'model.teacher.input_size': 32,
        'model.codebook.codes': 8,
    }  # fmt: skip
    cfg = read_config(RECIPES[name], options)
    cfg.work_dir = str(folder / name)
    cfg.visualizer = {'type': 'Visualizer', 'vis_backends': [{'type': 'LocalVisBackend'}]}
    cfg.model.backbone.arch = SMALL
    cfg.model.decoder.arch.update(embed_dim=32, num_heads=2)
    return cfg


@pytest.mark.parametrize('name', NAMES)
def test_builds_and_trains_a_step(name, tmp_path) -> None:
    cfg = small(name, tmp_path)
    cfg.model.teacher = {
        'type': 'BackboneTeacher', 'random_weights': True, 'input_size': 32,
        'backbone': {'type': 'mim_backbones.MIMViT', 'arch': SMALL},
    }  # fmt: skip
    runner = build_runner(cfg)
    before = {key: value.clone() for key, value in runner.model.state_dict().items()}
    runner.train()
    after = runner.model.state_dict()
    moved = {key for key, value in before.items() if not torch.equal(value, after[key])}
    assert {'quantize.codebook', 'quantize.started'} <= moved
    # Epoch 1 is warm-up from rate 0: its first step moves no weight.
    assert not any(key.startswith('encoder.') for key in moved)
    groups = {
        name: group['weight_decay']
        for group in runner.optim_wrapper.optimizer.param_groups
        for name in group['names']
    }
    exempt = {name.rpartition('.')[2] for name, decay in groups.items() if not decay}
    assert exempt == {'weight', 'bias', 'cls_token', 'pos_embed', 'q_bias', 'v_bias'}
    decayed = [name for name, decay in groups.items() if decay]
    assert all('norm' not in name and name.endswith('weight') for name in decayed)


def test_missing_weights_are_one_line(tmp_path) -> None:
    for name, wanted in (('vqkd', r'ViT-B-16\.pt'), ('vqkd_dec1_dino', 'dino_vitbase16_pretrain')):
        with pytest.raises(UserError, match=wanted) as error:
            build_runner(small(name, tmp_path))
        assert '\n' not in str(error.value)
        assert 'model.teacher.checkpoint=FILE' in str(error.value)
