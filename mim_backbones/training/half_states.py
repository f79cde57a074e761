"""AdamW whose two moments are kept in bf16: 4 bytes a weight in place of 8.

    m <- R(b1 m + (1 - b1) g)     v <- R(b2 v + (1 - b2) g^2)     R: to bf16, up or down by chance
    w <- w - lr decay w - lr m' / (sqrt(v') + eps)                m', v': before R, bias corrected

AdamW: arXiv 1711.05101, algorithm 2. bf16 has 8 bits: to the nearest, v would never fall, since
with b2 = 0.999 a step takes away less than half of its last bit. R goes up with the chance that the
part cut off stands for, so that its mean is what was rounded (arXiv 1502.02551, section 3).
Weights, gradients and the arithmetic are float32.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from mim_backbones.registry import OPTIMIZERS

CUT = 0xFFFF  # the bits of float32 that bf16 lacks
MOMENTS = ('exp_avg', 'exp_avg_sq')  # torch's names: a run goes on from its own AdamW's states


@OPTIMIZERS.register_module()
class HalfStateAdamW(Optimizer):
    """See the module. Slower than torch's fused AdamW: for where memory is what is short.

    What is drawn depends on the step alone, so that a run resumes exactly, and processes that
    share a model stay alike.

    Args:
        params, lr, betas, eps, weight_decay: as torch's AdamW.

    Raises:
        ValueError: a rate, eps or decay below 0, or a beta outside [0, 1).
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:
        if min(lr, eps, weight_decay) < 0 or not all(0 <= beta < 1 for beta in betas):
            raise ValueError(
                f'HalfStateAdamW: lr={lr}, eps={eps}, weight_decay={weight_decay}, betas={betas}; '
                'the first three are 0 or more, betas in [0, 1)'
            )
        super().__init__(
            params, {'lr': lr, 'betas': tuple(betas), 'eps': eps, 'weight_decay': weight_decay}
        )

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        assert closure is None, 'nothing here evaluates a loss again'
        draws: dict[torch.device, torch.Generator] = {}
        for group in self.param_groups:
            for weight in group['params']:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state['step'] = 0
                    for name in MOMENTS:
                        state[name] = torch.zeros_like(weight, dtype=torch.bfloat16)
                state['step'] += 1
                if weight.device not in draws:
                    draws[weight.device] = torch.Generator(weight.device)
                    draws[weight.device].manual_seed(state['step'])
                update(weight, weight.grad, state, group, draws[weight.device])

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Its own states, or those of torch's AdamW, which are rounded."""
        super().load_state_dict(state_dict)  # makes states of the weights' dtype
        for state in self.state.values():
            state['step'] = int(state['step'])
            for name in MOMENTS:
                state[name] = state[name].bfloat16()


def update(
    weight: Tensor,
    gradient: Tensor,
    state: dict[str, Any],
    group: dict[str, Any],
    generator: torch.Generator,
) -> None:
    """One weight by one step, in place."""
    lr, eps = group['lr'], group['eps']
    beta1, beta2 = group['betas']
    mean = state['exp_avg'].float().lerp_(gradient, 1 - beta1)
    square = state['exp_avg_sq'].float().mul_(beta2)
    square.addcmul_(gradient, gradient, value=1 - beta2)
    chance = torch.randint(
        -(2**31), 2**31, weight.shape, dtype=torch.int32, device=weight.device, generator=generator
    )
    state['exp_avg'].copy_(rounded(mean, chance & CUT))
    state['exp_avg_sq'].copy_(rounded(square, (chance >> 16) & CUT))
    steps = state['step']
    below = square.div_(1 - beta2**steps).sqrt_().add_(eps)
    weight.mul_(1 - lr * group['weight_decay'])
    weight.addcdiv_(mean, below, value=-lr / (1 - beta1**steps))


def rounded(value: Tensor, chance: Tensor) -> Tensor:
    """float32 -> bf16: the neighbour above or below by chance, in the mean the value itself.

    chance: int32, uniform from 0 to `CUT`.
    """
    # The magnitude's last bits carry into the kept ones with the chance that they stand for.
    return (value.view(torch.int32) + chance).bitwise_and_(~CUT).view(torch.float32).bfloat16()
