"""A line to be fitted by a model that breaks at one of the numbers."""

from pathlib import Path
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.registry import MODELS
from mmengine.runner import Runner
from torch import Tensor, nn

from tests.mim_backbones.training.line import SoakLine, line_runner

BAD = 8.0
NAN = float('nan')


class Middle(nn.Module):
    """The identity; where it is `hit` its output is NaN, or its gradient alone."""

    def __init__(self, breaks: str) -> None:
        super().__init__()
        self.breaks = breaks
        self.register_buffer('seen', torch.zeros(()))

    def forward(self, x: Tensor, hit: bool) -> Tensor:
        if not hit:
            return x
        if self.breaks == 'buffer':
            self.seen.fill_(NAN)
        if self.breaks == 'output':
            return x * NAN
        if self.breaks == 'gradient':
            return x + (x * 0).abs().sqrt()  # slope of the root at 0: inf, times 0
        return x


@MODELS.register_module(force=True)
class FragileLine(SoakLine):
    """A `SoakLine` with a part between backbone and head; see `Middle`.

    Args:
        breaks: 'output', 'gradient', 'buffer'; 'loss': what is computed beside all modules.
    """

    def __init__(self, breaks: str = 'output') -> None:
        super().__init__()
        self.middle = Middle(breaks)
        self.register_buffer('mask', torch.tensor(float('-inf')))  # by design
        self.breaks = breaks

    def forward(self, inputs: Tensor, mode: str = 'tensor') -> Any:
        hit = bool((inputs == BAD).any())
        found = self.head(self.middle(self.backbone(inputs), hit))
        loss = (found - 2 * inputs).square().mean()
        return {'loss': loss * NAN if hit and self.breaks == 'loss' else loss}


class Seen(Hook):
    """The samples of each step and its rate, in order."""

    def __init__(self) -> None:
        self.steps: list[tuple[Tensor, float]] = []

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        rate = runner.optim_wrapper.get_lr()['lr'][0]
        self.steps.append((data_batch['inputs'].clone(), rate))

    def bad(self) -> list[int]:
        """Numbers of the steps with the number at which models break, from 1."""
        return [n for n, (batch, _) in enumerate(self.steps, 1) if (batch == BAD).any()]


def fragile_runner(work_dir: Path, breaks: str, interval: int = 2, **changes: Any) -> Runner:
    """Five batches of two, of which one breaks; no checkpoints unless asked for."""
    config = {
        'model': {'type': 'FragileLine', 'breaks': breaks},
        'train_cfg': {'by_epoch': True, 'max_epochs': 1},
        'custom_hooks': [{'type': 'mim_backbones.Guard', 'interval': interval}],
        'param_scheduler': [{'type': 'CosineAnnealingLR', 'by_epoch': False, 'T_max': 10}],
        'default_hooks': {'logger': None, 'checkpoint': None},
        **changes,
    }
    return line_runner(work_dir, **config)


EVERY_STEP = {
    'default_hooks': {
        'logger': None,
        'checkpoint': {'type': 'CheckpointHook', 'by_epoch': False, 'interval': 1},
    }
}
