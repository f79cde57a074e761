"""What of a run can break, whether it has, and a copy of it from when it was whole.

    weights     parameters and buffers of the model, and of the averages that hooks keep (EMAHook)
    moments     what the optimizers remember of each parameter
    gradients   of the step that is being made; they are not kept

The copy lies in the host's memory and takes as much of it as weights and moments do. Learning rates
and other schedules are no part of it: they belong to the iteration.
"""

import math
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

import torch
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.optim import Optimizer

from mim_backbones.training.distributed import undistributed


class RunState:
    """See the module; made before weights are loaded, to see which buffers are infinite by design.

    Attributes:
        iterations: that were done when the copy was made.
    """

    def __init__(self, runner: Runner) -> None:
        self.runner = runner
        self.iterations = 0
        self.kept_weights: dict[str, Tensor] = {}
        self.kept_moments: dict[Tensor, dict[str, Any]] = {}
        buffers = undistributed(runner.model).named_buffers()
        # Masks of -inf.
        self.by_design = {name for name, value in buffers if not whole(value) and not nan(value)}

    def weights(self) -> dict[str, Tensor]:
        """All that are to be finite, by name."""
        return {
            f'{prefix}{name}': value
            for prefix, module in self._modules()
            for name, value in chain(module.named_parameters(), module.named_buffers())
            if name.removeprefix('module.') not in self.by_design
        }

    def broken(self) -> list[str]:
        """Names of weights that are not finite."""
        return [name for name, value in self.weights().items() if not whole(value)]

    def gradients(self) -> list[Tensor]:
        """Those that wait for a step of an optimizer; none where a loss scaler judges them."""
        if hasattr(self.runner.optim_wrapper, 'loss_scaler'):
            return []
        parameters = undistributed(self.runner.model).parameters()
        return [p.grad for p in parameters if p.grad is not None]

    def optimizers(self) -> list[Optimizer]:
        wrapper = self.runner.optim_wrapper
        several = [wrapper] if isinstance(wrapper, OptimWrapper) else wrapper.values()
        return [one.optimizer for one in several]

    def keep(self, iterations: int) -> None:
        """Copy what is there now, after as many iterations."""
        self.iterations = iterations
        self.kept_weights = {name: copied(value) for name, value in self.weights().items()}
        self.kept_moments = {
            parameter: {name: copied(value) for name, value in moments.items()}
            for optimizer in self.optimizers()
            for parameter, moments in optimizer.state.items()
        }

    @torch.no_grad()
    def restore(self) -> None:
        """Go back to the copy; gradients that wait for a step are forgotten."""
        for name, value in self.weights().items():
            if name in self.kept_weights:
                value.copy_(self.kept_weights[name])
        for optimizer in self.optimizers():
            for parameter in list(optimizer.state):
                moments = optimizer.state.pop(parameter)
                if parameter in self.kept_moments:  # else it had not taken a step yet
                    optimizer.state[parameter] = {
                        name: value.to(moments[name].device, copy=True)
                        if isinstance(value, Tensor)
                        else value
                        for name, value in self.kept_moments[parameter].items()
                    }
            optimizer.zero_grad()

    def forget(self) -> None:
        """Give the memory of the copy back."""
        self.kept_weights, self.kept_moments = {}, {}

    def _modules(self) -> Iterator[tuple[str, nn.Module]]:
        model = undistributed(self.runner.model)
        yield '', model
        for hook in self.runner.hooks:
            for name, value in vars(hook).items():
                if isinstance(value, nn.Module) and undistributed(value) is not model:
                    yield f'{type(hook).__name__}.{name}.', value


def copied(value: Any) -> Any:
    """In the host's memory."""
    return value.detach().to('cpu', copy=True) if isinstance(value, Tensor) else value


def all_whole(values: Iterable[Tensor]) -> Tensor:
    """Whether tensors are finite, as a bool on their device: nothing waits for it.

    Sparse gradients have no extremes; the weights they lead to are looked at.
    """
    dense = (value for value in values if value.layout is torch.strided)
    tensors = [value for value in dense if value.is_floating_point() and value.numel()]
    if not tensors:
        return torch.tensor(True)
    # Extremes are as finite as the tensor, and cannot overflow as a sum does.
    if all(value.is_cuda for value in tensors):
        extremes = torch._foreach_norm(tensors, math.inf)  # a kernel for all, of some hundreds
    else:
        extremes = [end for value in tensors for end in value.aminmax()]  # six times as fast here
    return torch.stack([end.to(extremes[0].device) for end in extremes]).isfinite().all()


def whole(value: Any) -> bool:
    """Whether a tensor, a number or a list of them is finite; anything else is."""
    if isinstance(value, list | tuple):
        return all(map(whole, value))
    if isinstance(value, Tensor):
        return bool(torch.isfinite(value).all())
    return not isinstance(value, float) or math.isfinite(value)


def nan(value: Tensor) -> bool:
    return bool(value.isnan().any())
