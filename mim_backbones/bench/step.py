"""A recipe's training step: images/s, and how near it comes to the machine's matrix products.

The step is the one the Runner takes, `train_step` of the recipe's model with its optimizer
wrapper, on one batch of the recipe's data pipeline. Bursts of matrix products and the steps of
all dtypes take turns, so that shares and ratios stay true while other programs come and go.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter
from typing import Any

import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, DefaultScope

from mim_backbones.bench.flops import count_flops
from mim_backbones.bench.matmul import SQUARE, MatmulRate
from mim_backbones.bench.measure import held_mib, peak_mib
from mim_backbones.bench.noise_batch import noise_batch
from mim_backbones.errors import UserError
from mim_backbones.training.config import require_keys
from mim_backbones.training.launch import build_errors_in_one_line, keep_freed_memory
from mim_backbones.training.precision import AutoPrecisionOptimWrapper, autocast

DTYPES = {'fp32': torch.float32, 'bf16': torch.bfloat16}


@dataclass(frozen=True)
class StepRow:
    """Steps in one dtype.

    Attributes:
        seconds: median time of a step.
        flops: counted over the forward and the backward pass of one step.
        matmul_flops_per_second: the machine's limit: the step's own 2-D products, forward and
            gradients, each as often as in a step, with nothing between them.
        share: flops_per_second over that limit, each step over the bursts around it.
        square_flops_per_second: of one large square product, which no mix of sizes quite reaches.
        square_share: flops_per_second over that.
        peak_mib: model, gradients, optimizer state and activations together.
        speedup: time of a step in the first dtype over one in this.
        target_images_per_second: of `prepare` by itself: what the model is to predict, a teacher's
            features say (a tokenizer's encoder passes once more); None where there is none.
        target_share: time of that over the step's.
    """

    dtype: str
    images_per_second: float
    seconds: float
    flops: int
    flops_per_second: float
    matmul_flops_per_second: float
    share: float
    square_flops_per_second: float
    square_share: float
    peak_mib: float | None
    speedup: float
    target_images_per_second: float | None
    target_share: float | None


@dataclass
class _Subject:
    """The step in one dtype, what it computes, and what was measured of it."""

    dtype: str
    call: Callable[[], None]
    target: Callable[[], None] | None
    flops: int
    peak_mib: float | None
    limits: tuple[MatmulRate, MatmulRate]  # the step's own, and the square
    seconds: list[float] = field(default_factory=list)
    target_seconds: list[float] = field(default_factory=list)
    rates: list[tuple[float, ...]] = field(default_factory=list)  # of the limits, by step

    def take(self) -> None:
        """One timed step between two bursts of each limit, and its target by itself."""
        if self.target:
            self.target_seconds.append(_seconds(self.target))
        before = [limit.rate() for limit in self.limits]
        self.seconds.append(_seconds(self.call))
        after = [limit.rate() for limit in self.limits]
        self.rates.append(tuple((a + b) / 2 for a, b in zip(before, after, strict=True)))


def measure(
    cfg: Config, batch: int, dtypes: Sequence[str], repeats: int, device: str
) -> list[StepRow]:
    """Build the recipe's model and take `repeats` timed steps in each of `dtypes`.

    Raises:
        UserError: no recipe, one with a part that cannot be built, or whose optimizer wrapper has
            no precision.
    """
    require_keys(cfg, 'pre-training recipe', 'model.type', 'optim_wrapper.optimizer')
    if device == 'cpu':
        keep_freed_memory()  # as tools/train.py does
    scope = cfg.get('default_scope', 'mmengine')
    held = held_mib(device)
    with DefaultScope.overwrite_default_scope(scope), build_errors_in_one_line(str(cfg.filename)):
        model: BaseModel = MODELS.build(cfg.model).to(device).train()
        data = noise_batch(cfg, batch, model)
        wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    if not isinstance(wrapper, AutoPrecisionOptimWrapper):
        raise UserError(
            f'config {cfg.filename}: {type(wrapper).__name__} has no precision to choose; '
            'optim_wrapper.type=mim_backbones.AutoPrecisionOptimWrapper has'
        )
    subjects = [_subject(model, wrapper, data, dtype, device, held) for dtype in dtypes]
    for subject in subjects:
        subject.call()  # counting and measuring memory left the caches elsewhere
    for _ in range(repeats):
        for subject in subjects:
            subject.take()
    return [_row(subject, subjects[0], batch) for subject in subjects]


def _subject(
    model: BaseModel,
    wrapper: AutoPrecisionOptimWrapper,
    data: Any,
    dtype: str,
    device: str,
    held: float | None,
) -> _Subject:
    def call() -> None:
        wrapper.precision = dtype
        model.train_step(data, wrapper)
        if device != 'cpu':
            torch.cuda.synchronize()

    def target() -> None:
        batch = model.data_preprocessor(data, training=True)
        with torch.no_grad(), autocast(device, dtype):
            model.prepare(**batch)
        if device != 'cpu':
            torch.cuda.synchronize()

    call()  # makes the optimizer's state and what a method prepares in its first step
    work = count_flops(call)
    peak = peak_mib(call, device, held)
    own = MatmulRate(work.products, DTYPES[dtype], device)
    return _Subject(
        dtype,
        call,
        target if hasattr(model, 'prepare') else None,
        work.flops,
        peak,
        (own, MatmulRate({SQUARE: 1}, DTYPES[dtype], device)),
    )


def _seconds(call: Callable[[], None]) -> float:
    begin = perf_counter()
    call()
    return perf_counter() - begin


def _row(subject: _Subject, first: _Subject, batch: int) -> StepRow:
    step = median(subject.seconds)
    limits = list(zip(*subject.rates, strict=True))
    reached = [subject.flops / taken for taken in subject.seconds]
    own, square = (
        median(rate / limit for rate, limit in zip(reached, rates, strict=True)) for rates in limits
    )
    targets = subject.target_seconds
    shares = [a / b for a, b in zip(targets, subject.seconds, strict=True)] if targets else []
    return StepRow(
        dtype=subject.dtype,
        images_per_second=batch / step,
        seconds=step,
        flops=subject.flops,
        flops_per_second=subject.flops / step,
        matmul_flops_per_second=median(limits[0]),
        share=own,
        square_flops_per_second=median(limits[1]),
        square_share=square,
        peak_mib=subject.peak_mib,
        speedup=median(a / b for a, b in zip(first.seconds, subject.seconds, strict=True)),
        target_images_per_second=batch / median(targets) if shares else None,
        target_share=median(shares) if shares else None,
    )
