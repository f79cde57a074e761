"""The smallest training: a line fitted by mmengine's Runner as every recipe here runs."""

import itertools
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import DATA_SAMPLERS, DATASETS, MODELS
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.utils.data import BatchSampler

from mim_backbones.training.launch import build_runner

RUNS = itertools.count()


@MODELS.register_module(force=True)
class SoakLine(BaseModel):
    """A 'backbone' and a 'head' of one weight matrix each; loss of fitting y = 2 x."""

    def __init__(self, outputs: int = 1, width: int = 3, init_cfg: Any = None) -> None:
        super().__init__(init_cfg=init_cfg)
        self.backbone = nn.Sequential(nn.Linear(1, width))
        self.head = nn.Linear(width, outputs)

    def forward(self, inputs: Tensor, mode: str = 'tensor') -> Any:
        found = self.head(self.backbone(inputs))
        return {'loss': (found - 2 * inputs).square().mean()} if mode == 'loss' else found


@DATASETS.register_module(force=True)
class SoakNumbers(torch.utils.data.Dataset):
    def __init__(self, length: int = 10) -> None:
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {'inputs': torch.tensor([float(index)])}


def line_config(work_dir: Path, **changes: Any) -> Config:
    """Five batches of two an epoch, a checkpoint after each epoch."""
    return Config({
        'default_scope': 'mmengine',
        'model': {'type': 'SoakLine'},
        'work_dir': str(work_dir),
        'train_dataloader': {
            'batch_size': 2, 'num_workers': 0, 'collate_fn': {'type': 'default_collate'},
            'dataset': {'type': 'SoakNumbers'},
            'sampler': {'type': 'DefaultSampler', 'shuffle': True},
        },
        'train_cfg': {'by_epoch': True, 'max_epochs': 2},
        'optim_wrapper': {'optimizer': {'type': 'Adam', 'lr': 0.01}},
        'default_hooks': {'logger': None},
        'visualizer': {'type': 'Visualizer', 'name': f'line-{next(RUNS)}'},
        'randomness': {'seed': 0},
        'log_level': 'ERROR',
        **changes,
    })  # fmt: skip


def line_runner(work_dir: Path, **changes: Any) -> Runner:
    cfg = line_config(work_dir, **changes)
    cfg.experiment_name = f'line-{next(RUNS)}'
    return build_runner(cfg)


def trained(work_dir: Path, **changes: Any) -> Runner:
    runner = line_runner(work_dir, **changes)
    runner.train()
    return runner


@DATA_SAMPLERS.register_module(force=True)
class SoakGroups(BatchSampler):
    """Batches that depend on what came before: evens and odds apart, as mmdet's by aspect ratio."""

    def __init__(self, sampler: Any, batch_size: int) -> None:
        super().__init__(sampler, batch_size, drop_last=False)

    def __iter__(self) -> Any:
        waiting: dict[int, list[int]] = {0: [], 1: []}
        for index in self.sampler:
            waiting[index % 2].append(index)
            if len(waiting[index % 2]) == self.batch_size:
                yield waiting[index % 2]
                waiting[index % 2] = []
        left = waiting[0] + waiting[1]
        if left:
            yield left
