"""A step's batch in several parts, each small enough for the machine.

    loss = sum over the parts of (images in the part / images in the step) * loss of the part

Where a loss is a mean over images, its gradients are those of the whole batch. What differs, and is
the same as if as many processes had each taken a part:

    a loss divided by positives or valid pixels   is divided by those of its part
    batch norms                                   take the statistics of their part

All parts of a step are drawn before its first is run, so that nothing drawn for a sample comes
between two draws of the model.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from itertools import islice
from typing import Any

import torch
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.utils.data import DataLoader

from mim_backbones.training.steps.stand_in import StandIn


class StepLoader(StandIn):
    """A data loader whose batches are lists: the micro-batches of a step.

    Args:
        loader: of micro-batches.
        parts: of a step; the last step of an epoch may have fewer, unless the loader drops such.
    """

    own = ('inner', 'parts')

    def __init__(self, loader: DataLoader, parts: int) -> None:
        super().__init__(loader)
        self.parts = parts

    def __len__(self) -> int:
        micro = len(self.inner)
        return micro // self.parts if drops_last(self.inner) else -(-micro // self.parts)

    def __iter__(self) -> Iterator[list[Any]]:
        return in_steps(iter(self.inner), self.parts, drops_last(self.inner))


def drops_last(loader: DataLoader) -> bool:
    return bool(getattr(loader.batch_sampler, 'drop_last', False))


def in_steps(micro_batches: Iterator[Any], parts: int, drop_last: bool) -> Iterator[list[Any]]:
    """Micro-batches in lists of `parts`."""
    while step := list(islice(micro_batches, parts)):
        if len(step) == parts or not drop_last:
            yield step


def take_step(runner: Runner, index: int, micro_batches: Sequence[Any]) -> None:
    """What mmengine's loops do with a batch; hooks see that of the whole step."""
    batch = together(micro_batches)
    runner.call_hook('before_train_iter', batch_idx=index, data_batch=batch)
    outputs = train_in_parts(runner.model, micro_batches, runner.optim_wrapper)
    runner.call_hook('after_train_iter', batch_idx=index, data_batch=batch, outputs=outputs)


def train_in_parts(
    model: nn.Module, micro_batches: Sequence[Any], wrapper: OptimWrapper
) -> dict[str, Any]:
    """One step of the optimizer, or of its accumulation; returns what is logged of it: means."""
    sizes = [size_of(batch) for batch in micro_batches]
    found: dict[str, Any] = {}
    for place, (batch, size) in enumerate(zip(micro_batches, sizes, strict=True), 1):
        share = size / sum(sizes)
        part = Part(wrapper, share, place == len(sizes))
        for key, value in model.train_step(batch, optim_wrapper=part).items():
            if isinstance(value, Tensor):
                found[key] = found.get(key, 0) + share * value.detach()
            elif isinstance(value, float):
                found[key] = found.get(key, 0.0) + share * value
            else:
                found[key] = value
    return found


class Part:
    """What a model's `train_step` is given for an optimizer wrapper, for a part of a step.

    Args:
        wrapper: of the run, whose own `accumulative_counts` counts steps.
        share: of the step's images.
        last: part, with which processes exchange gradients and the optimizer may step.
    """

    def __init__(self, wrapper: OptimWrapper, share: float, last: bool) -> None:
        self.wrapper = wrapper
        self.share = share
        self.last = last

    def optim_context(self, model: nn.Module) -> AbstractContextManager:
        context = ExitStack()
        if not self.last and hasattr(model, 'no_sync'):
            context.enter_context(model.no_sync())
        context.enter_context(self.wrapper.optim_context(model))
        return context

    def update_params(
        self,
        loss: Tensor,
        step_kwargs: dict[str, Any] | None = None,
        zero_kwargs: dict[str, Any] | None = None,
    ) -> None:
        if self.last:
            self.wrapper.update_params(loss * self.share, step_kwargs, zero_kwargs)
            return
        self.wrapper.backward(self.wrapper.scale_loss(loss * self.share))
        self.wrapper._inner_count -= 1  # it counts iterations


def size_of(batch: Any) -> int:
    """Samples in a collated batch: fields by name or by place, each a tensor or a list."""
    first = next(iter(batch.values())) if isinstance(batch, Mapping) else batch[0]
    return size_of(first) if isinstance(first, Mapping) else len(first)


def together(batches: Sequence[Any]) -> Any:
    """Collated batches as one."""
    if isinstance(batches[0], Mapping):
        return {key: joined([batch[key] for batch in batches]) for key in batches[0]}
    return [joined(field) for field in zip(*batches, strict=True)]


def joined(values: Sequence[Any]) -> Any:
    """A field of several batches as one; tensors of unequal shapes stay a list."""
    first = values[0]
    if isinstance(first, Mapping):
        return {key: joined([value[key] for value in values]) for key in first}
    if isinstance(first, Tensor):
        same = len({value.shape[1:] for value in values}) == 1
        return torch.cat(tuple(values)) if same else list(values)
    if isinstance(first, list | tuple):
        return [one for value in values for one in value]
    return first
