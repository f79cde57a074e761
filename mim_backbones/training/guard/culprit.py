"""Which module is the first to give what is not finite: a step is made again, under observation.

The same micro-batches, buffers and random draws; weights as they are before the optimizer's step.
First in time: of the forward pass the innermost module, of the backward pass the parameter that is
nearest to the loss.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from torch import Tensor, nn

from mim_backbones.training.distributed import undistributed
from mim_backbones.training.steps.draws import seed_step
from mim_backbones.training.steps.micro_batches import Part


class Rehearsal:
    """What a step is about to be made of, copied, so that it can be made again.

    Args:
        micro_batches: of the step, as they are loaded.
    """

    def __init__(self, runner: Runner, micro_batches: Sequence[Any]) -> None:
        self.runner = runner
        self.micro_batches = copy.deepcopy(micro_batches)
        buffers = undistributed(runner.model).named_buffers()
        self.buffers = {name: value.clone() for name, value in buffers}

    def culprit(self) -> str | None:
        """What is the first not to be finite, in words; None where nothing is this time."""
        runner, model = self.runner, undistributed(self.runner.model)
        if not isinstance(runner.optim_wrapper, OptimWrapper):
            return None  # of several optimizers only the model knows who steps when
        for parameter in model.parameters():
            parameter.grad = None
        for name, value in model.named_buffers():
            value.copy_(self.buffers[name])
        seed_step(runner)
        watch = FirstBroken(model)
        part = Part(runner.optim_wrapper, 1.0, last=False)  # which never steps
        with watch.hooks:
            for batch in self.micro_batches:
                # All of them, whatever is found: processes may wait for each other in a module.
                model.train_step(batch, optim_wrapper=part)
        return watch.found


class FirstBroken:
    """Watches a model until something in it is not finite.

    Attributes:
        found: what that was; None until then.
        hooks: to leave when done.
    """

    def __init__(self, model: nn.Module) -> None:
        self.found: str | None = None
        self.running: list[str] = []
        self.hooks = ExitStack()
        for name, module in model.named_modules():
            title = f'{name} ({type(module).__name__})' if name else type(module).__name__
            for handle in (
                module.register_forward_pre_hook(self._entered(title), with_kwargs=True),
                module.register_forward_hook(self._left(title)),
            ):
                self.hooks.callback(handle.remove)
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                handle = parameter.register_post_accumulate_grad_hook(self._learnt(name))
                self.hooks.callback(handle.remove)

    def _entered(self, title: str) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: tuple, named: dict[str, Any]) -> None:
            if self.found is None and broken((inputs, named)):
                caller = self.running[-1] if self.running else None
                self.found = f'what {caller} gives to {title}' if caller else 'the loaded batch'
            self.running.append(title)

        return hook

    def _left(self, title: str) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: tuple, output: Any) -> None:
            self.running.pop()
            if self.found is None and broken(output):
                self.found = f'the output of {title}'

        return hook

    def _learnt(self, name: str) -> Callable[[Tensor], None]:
        def hook(parameter: Tensor) -> None:
            if self.found is None and broken(parameter.grad, masks=False):
                self.found = f'the gradient of {name}'

        return hook


def broken(value: Any, masks: bool = True) -> bool:
    """Whether there is a tensor in it that is not finite.

    Args:
        masks: -inf hides what softmax must not see, and is no break; what comes of it is looked at.
    """
    if isinstance(value, Tensor):
        bad = ~value.isfinite()
        return bool((bad & (value != -torch.inf) if masks else bad).any())
    if isinstance(value, Mapping):
        return any(broken(one, masks) for one in value.values())
    if isinstance(value, list | tuple):
        return any(broken(one, masks) for one in value)
    if is_dataclass(value) and not isinstance(value, type):
        return any(broken(getattr(value, field.name), masks) for field in fields(value))
    return False
