"""The guard of every training, pre-training and fine-tuning alike.

In each iteration losses, gradients and, after the optimizer's step, weights and buffers are looked
at, before anything averages, saves or scores them. Of what is not finite

    the first time    weights and moments go back to the last good copy. Iterations, schedules and
                      data go on: the batch is not tried again, and what was learnt since is lost.
    the second time   the training stops, before the optimizer steps where that can be known, and
                      one line names the first module that is not finite.

A good copy is made at the start, every `interval` iterations and with each checkpoint: a run that
is resumed from one has the same to go back to. Checkpoints remember whether a run went back.

There is no delay, and a GPU waits no more often than without: whether all is finite is computed
beside the step and read where mmengine reads the losses, after it. Once a run has gone back, it is
read before each step too.
"""

from typing import Any

import torch
from mmengine.dist import all_gather_object, all_reduce
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from mim_backbones.errors import UserError
from mim_backbones.registry import HOOKS
from mim_backbones.training.guard.culprit import Rehearsal
from mim_backbones.training.guard.state import RunState, all_whole, whole

REWOUND = 'rewound_at'  # in the message hub: the iteration that a run went back at
ADVICE = 'resume from the last checkpoint with a smaller learning rate or precision fp32'


@HOOKS.register_module()
class Guard(Hook):
    """See the module. Our Runner has it for every recipe; one that names it says how often.

    Args:
        interval: iterations from one good copy to the next.
    """

    priority = 'VERY_HIGH'  # before who averages, saves or scores

    def __init__(self, interval: int = 100) -> None:
        if interval < 1:
            raise ValueError(f'Guard: interval={interval}; take 1 or more')
        self.interval = interval
        self.state: RunState | None = None
        self.rehearsal: Rehearsal | None = None  # once the run has gone back
        self.gradients_fine = torch.tensor(True)
        self.watching: list[RemovableHandle] = []

    def before_run(self, runner: Runner) -> None:
        if self.state is None:
            self.state = RunState(runner)

    def before_train(self, runner: Runner) -> None:
        self._refuse_broken(runner, 'no training starts from it; give other weights')
        self.keep(runner.iter)
        for optimizer in self._state.optimizers():
            self.watching.append(optimizer.register_step_pre_hook(self._before_step))

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        self.gradients_fine = torch.tensor(True)
        if REWOUND in runner.message_hub.runtime_info:
            parts = getattr(runner.train_loop, 'micro_batches', [data_batch])
            self.rehearsal = Rehearsal(runner, parts)

    def _before_step(self, optimizer: Optimizer, args: Any, options: Any) -> None:
        """The gradients are those of all micro-batches and processes."""
        if getattr(optimizer, 'found_inf', None) is not None:
            return  # still scaled; the scaler of half precision has this optimizer skip by itself
        parameters = (p for group in optimizer.param_groups for p in group['params'])
        found = all_whole(p.grad for p in parameters if p.grad is not None)
        self.gradients_fine = self.gradients_fine & found
        if self.rehearsal is not None and not agreed(self.gradients_fine):
            self._stop('gradients are not finite', self.rehearsal.culprit())

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        state = self._state
        losses = {name: value for name, value in (outputs or {}).items() if 'loss' in name}
        waiting = state.gradients()  # for the rest of an accumulated batch
        fine = self.gradients_fine & all_whole(waiting) & all_whole(state.weights().values())
        fine = fine & all_whole(torch.as_tensor(value) for value in losses.values())
        if agreed(fine):
            if self.every_n_train_iters(runner, self.interval):
                self.keep(runner.iter + 1)
            return
        before = [
            f'{name} is {torch.as_tensor(value).item()}'
            for name, value in losses.items()
            if not whole(value)
        ]
        if not self.gradients_fine or not all_whole(waiting):
            before.append('gradients are not finite')
        cause = first_of(before)
        what = cause or f'{first_of(state.broken())} is not finite'
        if self.rehearsal is not None:
            self._stop(what, self.rehearsal.culprit() if cause else None)
        state.restore()
        runner.message_hub.update_info(REWOUND, runner.iter + 1)
        runner.logger.warning(
            f'{what} at iteration {runner.iter + 1}: weights and optimizer are again those of '
            f'iteration {state.iterations}, and the training goes on with the next batch; a '
            'second time stops it'
        )

    def after_train(self, runner: Runner) -> None:
        self._state.forget()
        self.rehearsal = None
        while self.watching:
            self.watching.pop().remove()

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        self._refuse_broken(runner, f'no checkpoint is written; {ADVICE}')

    def before_val(self, runner: Runner) -> None:
        self._refuse_broken(runner, 'nothing is scored')

    def before_test(self, runner: Runner) -> None:
        self._refuse_broken(runner, 'nothing is scored')

    def keep(self, iterations: int) -> None:
        """Make a good copy: of the state now, after as many iterations."""
        self._state.keep(iterations)

    @property
    def _state(self) -> RunState:
        assert self.state is not None, 'before_run comes first'
        return self.state

    def _refuse_broken(self, runner: Runner, then: str) -> None:
        """Raises UserError naming a weight that is not finite."""
        state = self.state or RunState(runner)
        if not all_whole(state.weights().values()):
            raise UserError(f'{state.broken()[0]} is not finite, so {then}')

    def _stop(self, what: str, culprit: str | None) -> None:
        """culprit: of this process, if it has one."""
        runner = self._state.runner
        before = runner.message_hub.get_info(REWOUND)
        who = first_of([culprit] if culprit else [])
        raise UserError(
            f'{what} at iteration {runner.iter + 1}, for the second time after iteration {before}'
            f'{f"; the first not to be finite is {who}" if who else ""}; {ADVICE}'
        )


def agreed(fine: Tensor) -> bool:
    """Whether it is so in every process."""
    flag = fine.int()
    all_reduce(flag, 'min')
    return bool(flag)


def first_of(texts: list[str]) -> str | None:
    """The first text that any process has."""
    return next((text for own in all_gather_object(texts) for text in own), None)
