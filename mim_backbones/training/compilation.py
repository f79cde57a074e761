"""The loss through `torch.compile`: forward and backward pass, in a model of any kind.

What is around it stays as it is: preprocessing, gradients of several processes, the optimizer, and
the names in a checkpoint. So does everything that is no loss, validation and pictures among it.
"""

from typing import Any

import torch
from mmengine.logging import MMLogger
from torch import nn
from torch._dynamo.utils import counters

from mim_backbones.errors import UserError

BREAKS = 'graph_break'  # reason -> how often a graph was cut for it


class CompiledLoss:
    """A model's `forward` whose mode 'loss' is compiled.

    Before the first loss the model may settle what cannot be compiled, once a run: `prepare`, with
    the arguments of the loss.

    Args:
        model: an mmengine model.
        options: arguments of `torch.compile`. `dynamic` is False: a training's sizes stay, and a
            last batch that is smaller makes a graph of its own.
    """

    def __init__(self, model: nn.Module, options: dict[str, Any]) -> None:
        self.plain = model.forward
        self.compiled = torch.compile(model.forward, **{'dynamic': False, **options})
        self.model = model
        self.fresh = True

    def __call__(self, *args: Any, mode: str = 'tensor', **kwargs: Any) -> Any:
        if mode != 'loss':
            return self.plain(*args, mode=mode, **kwargs)
        if not self.fresh:
            return self._loss(*args, **kwargs)
        self._prepare(*args, **kwargs)
        before = counters[BREAKS].copy()
        losses = self._loss(*args, **kwargs)
        self.fresh = False
        reasons = [reason.strip().splitlines()[0] for reason in counters[BREAKS] - before]
        how = f'in pieces: {"; ".join(reasons)}' if reasons else 'in one piece'
        MMLogger.get_current_instance().info(f'loss compiled, {how}')
        return losses

    def _prepare(self, *args: Any, **kwargs: Any) -> None:
        prepare = getattr(self.model, 'prepare', None)
        if prepare is None:
            return
        device = next(self.model.parameters()).device
        # Drop path may draw here, and then draws in the step what it would without.
        with torch.random.fork_rng([] if device.type == 'cpu' else [device]):
            prepare(*args, **kwargs)

    def _loss(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return self.compiled(*args, mode='loss', **kwargs)
        except torch._dynamo.exc.TorchDynamoException as error:
            # What a check says while it is traced comes wrapped.
            said = error.__cause__ or error.__context__
            if isinstance(said, UserError):
                raise said from None
            raise


def compile_loss(model: nn.Module, **options: Any) -> None:
    """Compile what `model(..., mode='loss')` does, from its next call on.

    Args:
        model: without what distributes it.
        options: see `CompiledLoss`.

    Raises:
        UserError: the machine has nothing to compile with.
    """
    check_compiler(next(model.parameters()).device.type, options.get('backend', 'inductor'))
    model.forward = CompiledLoss(model, options)  # type: ignore[assignment]


def check_compiler(device: str, backend: Any) -> None:
    """Raises UserError where torch's own backend would fail at the first step."""
    if backend != 'inductor':
        return
    from torch._inductor.cpp_builder import get_cpp_compiler
    from torch._inductor.exc import InvalidCxxCompiler
    from torch.utils._triton import has_triton

    try:
        get_cpp_compiler()
    except InvalidCxxCompiler:
        raise UserError(
            'compile: torch finds no C++ compiler on this machine; install g++, name one in the '
            'variable CXX, or train without --compile'
        ) from None
    if device == 'cuda' and not has_triton():
        raise UserError(
            'compile: a GPU needs Triton, which is not installed or does not know this one; '
            'pip install triton, or train without --compile'
        )
