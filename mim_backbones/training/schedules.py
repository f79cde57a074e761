"""Learning rates over a training: linear warm-up, then a cosine or steps.

    warm-up  lr(t) = start + (peak - start) t / W                           t < W
             with peak_in_warmup: t / (W - 1), so that its last update takes the peak
    cosine   lr(t) = min + (peak - min) (1 + cos(pi (t - W) / (T - W))) / 2
    steps    lr(t) = peak gamma^(number of milestones <= t)

t counts updates from 0, W and T are the lengths of warm-up and training. start and min are shares
of the peak, so that a rate scaled to the batch scales them too. mmengine's own schedulers, chained,
cannot: theirs know one absolute minimum, and no curve that several published recipes share.

Published code differs, in ways that are a switch each and that its recipes set: BEiT, BEiT v2 and
VQ-KD by `peak_in_warmup`, SimMIM by `drop_after_warmup`, `one_step_late` and `scale_ends=False`.
"""

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Sequence
from math import cos, pi
from typing import Any

from mmengine.optim import _ParamScheduler

from mim_backbones.registry import PARAM_SCHEDULERS

INF = int(1e9)  # mmengine's word for no end
LENGTHS = {'warmup', 'begin', 'end', 'milestones'}


class WarmupLR(_ParamScheduler, ABC):
    """Warm-up, then what a subclass says. Each value depends on the step alone: resuming is exact.

    Args:
        optimizer: mmengine's wrapper or a torch optimizer. Its groups' rates are the peaks.
        warmup: length of the warm-up, in epochs or iterations as `begin` and `end`.
        start_ratio: rate of the first update as a share of the peak.
        min_ratio: lowest rate as a share of the peak.
        scale_ends: whether start and minimum of a layer-decay group are shares of its own peak.
            False: of the undecayed peak, so equal for all groups (timm's scheduler, SimMIM).
        one_step_late: whether every update takes the rate of the one before, so that the first
            two take the first rate: released SimMIM steps its scheduler after the optimizer, from
            index 0.
        peak_in_warmup: whether the last update of the warm-up takes the peak already, and the
            first one after it takes it again: a line from start to peak through W points, as
            released BEiT, BEiT v2 and VQ-KD draw it.
    """

    def __init__(
        self,
        optimizer: Any,
        warmup: int = 0,
        start_ratio: float = 0.0,
        min_ratio: float = 0.0,
        scale_ends: bool = True,
        one_step_late: bool = False,
        peak_in_warmup: bool = False,
        begin: int = 0,
        end: int = INF,
        last_step: int = -1,
        by_epoch: bool = True,
        verbose: bool = False,
    ) -> None:
        self.warmup = warmup
        self.start_ratio, self.min_ratio = start_ratio, min_ratio
        self.scale_ends = scale_ends
        self.one_step_late = one_step_late
        self.peak_in_warmup = peak_in_warmup
        super().__init__(optimizer, 'lr', begin, end, last_step, by_epoch, verbose)

    @classmethod
    def build_iter_from_epoch(cls, *args: Any, epoch_length: int, **options: Any) -> 'WarmupLR':
        """mmengine's `convert_to_iter_based`: lengths in epochs become iterations."""
        for name in LENGTHS & options.keys():
            options[name] = in_iterations(options[name], epoch_length)
        return cls(*args, **{**options, 'by_epoch': False})

    def _get_value(self) -> list[float]:
        step = max(0, self.last_step - 1) if self.one_step_late else self.last_step
        rising = max(1, self.warmup - 1) if self.peak_in_warmup else self.warmup
        rates = []
        for group, peak in zip(self.optimizer.param_groups, self.base_values, strict=True):
            whole = peak if self.scale_ends else peak / group.get('lr_scale', 1.0)
            start, least = self.start_ratio * whole, self.min_ratio * whole
            if step < self.warmup:
                rates.append(start + (peak - start) * step / rising)
            else:
                rates.append(self.after_warmup(step, peak, least))
        return rates

    @abstractmethod
    def after_warmup(self, step: int, peak: float, least: float) -> float:
        """The rate at a step of the main phase; `step` counts from the start of the training."""


@PARAM_SCHEDULERS.register_module()
class WarmupCosineLR(WarmupLR):
    """Warm-up, then half a cosine down to the minimum at `end`.

    Args:
        drop_after_warmup: whether the cosine is counted from the first update instead of the end
            of the warm-up, so that the rate drops where the cosine takes over (from 8e-4 to 7.8e-4
            in SimMIM's pre-training): timm's default, which released SimMIM runs with.
        others: see `WarmupLR`.
    """

    def __init__(self, *args: Any, drop_after_warmup: bool = False, **options: Any) -> None:
        self.drop_after_warmup = drop_after_warmup
        super().__init__(*args, **options)

    def after_warmup(self, step: int, peak: float, least: float) -> float:
        skipped = 0 if self.drop_after_warmup else self.warmup
        share = (step - skipped) / (self.end - self.begin - skipped)
        return least + (peak - least) * (1 + cos(pi * share)) / 2


@PARAM_SCHEDULERS.register_module()
class WarmupMultiStepLR(WarmupLR):
    """Warm-up, then a factor `gamma` at each milestone.

    Args:
        milestones: rising, counted from the start of the training.
        gamma: the factor.
        others: see `WarmupLR`.
    """

    def __init__(
        self, *args: Any, milestones: Sequence[int], gamma: float = 0.1, **options: Any
    ) -> None:
        self.milestones = sorted(milestones)
        self.gamma = gamma
        super().__init__(*args, **options)

    def after_warmup(self, step: int, peak: float, least: float) -> float:
        return max(least, peak * self.gamma ** bisect_right(self.milestones, step))


def in_iterations(epochs: Any, epoch_length: int) -> Any:
    """A length in epochs, or several, in iterations."""
    if isinstance(epochs, Sequence):
        return [in_iterations(each, epoch_length) for each in epochs]
    return epochs if epochs == INF else int(epochs * epoch_length)
