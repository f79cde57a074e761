"""LARS: each matrix takes steps in proportion to its own norm.

    u = r (g + decay w),   r = trust |w| / |g + decay w|, or 1 where either norm is 0
    v = momentum v + u,    w = w - lr v

Vectors take neither decay nor r. You et al., arXiv 1708.03888; MAE's linear probes train by it, at
batches of 16384 (arXiv 2111.06377, Table 10).
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from mim_backbones.registry import OPTIMIZERS


@OPTIMIZERS.register_module()
class LARS(Optimizer):
    """See the module.

    Args:
        trust_coefficient: trust.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        weight_decay: float = 0.0,
        momentum: float = 0.9,
        trust_coefficient: float = 0.001,
    ) -> None:
        defaults = {
            'lr': lr, 'weight_decay': weight_decay, 'momentum': momentum,
            'trust_coefficient': trust_coefficient,
        }  # fmt: skip
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Returns what the closure does; a parameter without a gradient stays as it is."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group['params']:
                if parameter.grad is None:
                    continue
                update = scaled(parameter, group['weight_decay'], group['trust_coefficient'])
                state = self.state[parameter]
                velocity = state.setdefault('velocity', torch.zeros_like(parameter))
                velocity.mul_(group['momentum']).add_(update)
                parameter.sub_(velocity, alpha=group['lr'])
        return loss


def scaled(parameter: Tensor, decay: float, trust: float) -> Tensor:
    """u of the module, of a parameter with a gradient."""
    assert parameter.grad is not None
    if parameter.ndim <= 1:
        return parameter.grad
    update = parameter.grad + decay * parameter
    ratio = trust * parameter.norm() / update.norm()
    # Neither 0 / 0 nor a parameter that never leaves 0; no number is read off the device.
    usable = (parameter.norm() > 0) & (update.norm() > 0)
    return update * torch.where(usable, ratio, torch.ones_like(ratio))
