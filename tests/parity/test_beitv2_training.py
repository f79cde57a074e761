"""Twenty steps of BEiT v2: our Runner, optimizer and schedule against the released training loop.

The recipe is configs/pretrain/beitv2.py; the file says sizes, lengths and rates, and brings the
images, masks and ids, so that nothing is drawn.
"""

from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch.utils.data import Dataset

from mim_backbones.training.config import read_config
from mim_backbones.training.launch import build_runner
from pretrain.registry import DATASETS

RECIPE = Path(__file__).parents[2] / 'configs/pretrain/beitv2.py'
FAMILY = 'beitv2_training'


@DATASETS.register_module(force=True)
class StoredSamples(Dataset):
    """The file's samples, in its order."""

    samples: dict[str, torch.Tensor] = {}

    def __len__(self) -> int:
        return len(self.samples['image'])

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {**{name: values[index] for name, values in self.samples.items()}, 'skipped': ''}


class Record(Hook):
    """Each step's loss, and the rate it was taken with."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.rates: list[float] = []

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict) -> None:
        self.rates.append(runner.optim_wrapper.optimizer.param_groups[0]['lr'])

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict, outputs: dict
    ) -> None:
        self.losses.append(float(outputs['loss'].detach()))


def recipe_for(golden: dict[str, Any], out: Path) -> Config:
    """The recipe at the file's sizes; its optimizer, clipping and curve are the recipe's own."""
    config, training = golden['config'], golden['training']
    cfg = read_config(
        RECIPE,
        {
            'model.backbone.img_size': config['img_size'],
            'model.backbone.patch_size': config['patch_size'],
            'model.backbone.layer_scale': config['init_values'],
            'model.early_layers': config['early_layers'],
            'model.head_layers': config['head_layers'],
            'model.shared_lm_head': config.get('shared_lm_head', True),
            'optim_wrapper.optimizer.lr': training['lr'],
            'optim_wrapper.optimizer.betas': tuple(training['betas']),
            'optim_wrapper.optimizer.weight_decay': training['weight_decay'],
            'optim_wrapper.clip_grad.max_norm': training['clip_grad'],
            'optim_wrapper.precision': 'fp32',
            'param_scheduler.0.warmup': training['warmup_epochs'],
            'param_scheduler.0.min_ratio': training['min_lr'] / training['lr'],
            'train_cfg.max_epochs': training['epochs'],
            'auto_scale_lr.base_batch_size': training['batch_size'],
        },
    )
    cfg.model.backbone.arch = {k: config[k] for k in ('embed_dim', 'depth', 'num_heads')}
    cfg.model.target = {'type': 'AbsentTarget', 'kind': 'ids', 'width': config['vocab_size']}
    cfg.train_dataloader = {
        'batch_size': training['batch_size'], 'num_workers': 0,
        'sampler': {'type': 'DefaultSampler', 'shuffle': False},
        'collate_fn': {'type': 'default_collate'}, 'dataset': {'type': 'StoredSamples'},
    }  # fmt: skip
    cfg.work_dir = str(out)
    cfg.visualizer = {'type': 'Visualizer', 'name': out.name, 'vis_backends': []}
    return cfg


@pytest.mark.golden(FAMILY, needs=['state_dict', 'state_dict_after'])
def test_twenty_steps_through_the_runner(golden, same, tmp_path, monkeypatch) -> None:
    grid = (golden['config']['img_size'] // golden['config']['patch_size'],) * 2
    samples = {
        'image': golden['image'],
        'mask': golden['mask'].view(-1, *grid),
        'target_ids': golden['token_ids'].view(-1, *grid),
    }
    monkeypatch.setattr(StoredSamples, 'samples', samples)
    runner = build_runner(recipe_for(golden, tmp_path))
    own = runner.model.state_dict()
    names = {n: n if n in own else f'backbone.{n}' for n in golden['state_dict']}
    for name, value in golden['state_dict'].items():
        own[names[name]].copy_(value)
    record = Record()
    runner.register_hook(record, priority='LOWEST')
    runner.train()

    assert len(record.losses) == len(golden['losses'])
    same('rates', record.rates, golden['rates'], atol=1e-9)
    same('losses', record.losses, golden['losses'])
    after = runner.model.state_dict()
    for name, value in golden['state_dict_after'].items():
        same(f'{name} after', after[names[name]], value)
    moved = [(value - golden['state_dict'][n]).abs().max() for n, value in
             golden['state_dict_after'].items()]  # fmt: skip
    assert max(moved) > 1e-3  # the tolerance is far below what the steps do
