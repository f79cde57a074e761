"""Losses and weights that stay finite, in every training."""

from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mim_backbones.errors import UserError
from mim_backbones.registry import HOOKS

ADVICE = 'resume from the last checkpoint with a smaller learning rate or precision fp32'


@HOOKS.register_module()
class FiniteLoss(Hook):
    """Stop at a loss that is not finite instead of training on, and save no broken weights.

    Looks at the losses every `interval` steps: reading a value off the device waits for it. The
    last checkpoint is therefore always one to resume from.
    """

    def __init__(self, interval: int = 10) -> None:
        self.interval = interval
        self.by_design: set[str] = set()

    def before_train(self, runner: Runner) -> None:
        """What is not finite at the start is meant so (masks of -inf)."""
        state = runner.model.state_dict()
        self.by_design = {bare(name) for name, value in state.items() if not finite(value)}

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        if not self.every_n_train_iters(runner, self.interval):
            return
        for name, value in (outputs or {}).items():
            if 'loss' in name and not finite(value):
                raise UserError(f'{name} is {value} at iteration {runner.iter + 1}; {ADVICE}')

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        for name, value in checkpoint['state_dict'].items():
            if name not in self.by_design and not finite(value):
                raise UserError(
                    f'{name} is not finite after iteration {runner.iter}, so no checkpoint is '
                    f'written; {ADVICE}'
                )


def finite(value: Any) -> bool:
    """Of a tensor, a number or a list of them; anything else is."""
    if isinstance(value, list | tuple):
        return all(map(finite, value))
    if not isinstance(value, torch.Tensor | float):
        return True
    return bool(torch.isfinite(torch.as_tensor(value)).all())


def bare(name: str) -> str:
    """A name without what distributes the model: as a checkpoint has it."""
    return name.removeprefix('module.')
