"""Trains fragile lines on two processes (gloo), for a while and until they stop: `... OUT`."""

import sys
from pathlib import Path

import torch

from mim_backbones.errors import UserError
from mim_backbones.training.distributed import leave_together
from tests.mim_backbones.training.guard.fragile import fragile_runner

if __name__ == '__main__':
    for breaks in ('output', 'buffer'):
        out = Path(sys.argv[1], breaks)
        once = fragile_runner(out / 'once', breaks, launcher='pytorch')
        once.train()
        twice = fragile_runner(
            out / 'twice', breaks, launcher='pytorch', train_cfg={'by_epoch': True, 'max_epochs': 2}
        )
        try:
            twice.train()
        except UserError as error:
            said = str(error)
        state, at = once.model.module.state_dict(), once.message_hub.get_info('rewound_at')
        torch.save((state, at, said), out / f'{once.rank}.pth')
    leave_together()
