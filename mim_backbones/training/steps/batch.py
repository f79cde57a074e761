"""How many images an optimizer step takes, and what follows where it is not the published number.

A recipe says how many images a process takes at a time, `train_dataloader.batch_size`, and for
which batch its learning rate and schedule were published, `auto_scale_lr.base_batch_size`:

    enable=False   that batch is reached with any number of processes that divides it: with few
                   each takes several micro-batches a step, with many smaller ones. Rate, schedule
                   and iterations stay.
    enable=True    the batch is processes x batch_size, and the rate follows it by `rule`: 'linear'
                   (default) or 'sqrt' of real / published.

Without a published batch, it is processes x batch_size and the rate stays.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mim_backbones.errors import UserError

RULES = {'linear': 1.0, 'sqrt': 0.5}  # exponent of real / published


@dataclass(frozen=True)
class StepBatch:
    """The images of an optimizer step.

    Attributes:
        published: the batch of the recipe's rate; None where it says none.
        processes: that train together.
        at_once: images that a process takes at a time.
        parts: micro-batches of a process in an iteration.
        accumulated: iterations of an optimizer step (`optim_wrapper.accumulative_counts`).
        rule: by which the rate follows; None where it stays.
    """

    published: int | None
    processes: int
    at_once: int
    parts: int = 1
    accumulated: int = 1
    rule: str | None = None

    @property
    def of_iteration(self) -> int:
        return self.processes * self.parts * self.at_once

    @property
    def images(self) -> int:
        return self.of_iteration * self.accumulated

    @property
    def rate(self) -> float:
        """What the recipe's learning rate is multiplied by."""
        if self.rule is None or self.published is None:
            return 1.0
        return (self.images / self.published) ** RULES[self.rule]

    def as_text(self) -> str:
        """One line for the log."""
        made = f'{self.processes} process{"es" if self.processes > 1 else ""} x '
        if self.accumulated > 1:
            made += f'{self.accumulated} accumulated iterations x '
        if self.parts > 1:
            made += f'{self.parts} micro-batches of '
        made = f'batch: {self.images} images a step ({made}{self.at_once})'
        if self.published is None:
            return f'{made}; the recipe names no published batch, so the rate stays'
        if self.rule is None:
            return f'{made}, as published: rate and schedule stay'
        if self.rate == 1:
            return f'{made}, as published, so that the {self.rule} rule leaves the rate'
        return (
            f'{made}; published are {self.published}: the rate is multiplied by '
            f'{self.rate:.4g} ({self.rule} rule)'
        )


def step_batch(
    batch_size: int,
    auto_scale_lr: Mapping[str, Any] | None,
    processes: int = 1,
    accumulated: int = 1,
) -> StepBatch:
    """What a recipe's numbers come to; see the module.

    Raises:
        UserError: the processes cannot share the published batch, or an unknown rule.
    """
    declared = auto_scale_lr or {}
    published = declared.get('base_batch_size')
    rule = declared.get('rule', 'linear')
    if rule not in RULES:
        raise UserError(f'auto_scale_lr.rule={rule!r}; known: {", ".join(RULES)}')
    if published is None:
        return StepBatch(None, processes, batch_size, accumulated=accumulated)
    if declared.get('enable', False):
        return StepBatch(published, processes, batch_size, 1, accumulated, rule)
    share, rest = divmod(published, processes * accumulated)
    if rest or not share:
        among = f'{processes} process{"es" if processes > 1 else ""}'
        if accumulated > 1:
            among += f' x accumulative_counts={accumulated}'
        raise UserError(
            f'the published batch of {published} images cannot be shared by {among}; take a number '
            f'that divides {published}, or let the rate follow the batch: --auto-scale-lr '
            '(auto_scale_lr.enable=True)'
        )
    at_once = next(n for n in range(min(share, batch_size), 0, -1) if share % n == 0)
    return StepBatch(published, processes, at_once, share // at_once, accumulated)
