"""Trains a line on two processes (gloo): `torchrun two_processes.py BATCH_SIZE OUT`."""

import sys
from pathlib import Path

import torch

from mim_backbones.training.distributed import leave_together
from tests.mim_backbones.training.line import trained
from tests.mim_backbones.training.steps.test_micro_batches import PUBLISHED

if __name__ == '__main__':
    out = Path(sys.argv[2])
    changes = PUBLISHED | {'launcher': 'pytorch'}
    changes['train_dataloader'] = {**PUBLISHED['train_dataloader'], 'batch_size': int(sys.argv[1])}
    runner = trained(out, **changes)
    if runner.rank == 0:
        torch.save(runner.model.module.state_dict(), out / 'weights.pth')
    leave_together()
