"""Multinomial logistic regression on frozen features: few labels, a path of penalties.

    W, b = argmin  1/n sum cross-entropy(W x' + b, y) + penalty / 2 |W|^2

x': features of deviation 1, penalised.py.

Solved in float64 by L-BFGS with a line search, from the largest penalty down, each starting where
the last one ended. W lies in the span of the pictures, so that no more directions are searched than
there are pictures.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.logging import MMLogger
from torch import Tensor

from downstream.classification.penalised import PenalisedReader
from downstream.registry import MODELS

STEPS = 500  # of L-BFGS, for each penalty
SLOPE = 1e-7  # largest entry of the gradient at which a penalty is solved
KEPT_STEPS = 20  # that L-BFGS estimates curvature from
UNSOLVED = 1e-4  # entry of the gradient that is said


@MODELS.register_module()
class LogisticReader(PenalisedReader):
    """See the module; arguments as of `PenalisedReader`."""

    logits = True

    def __init__(
        self,
        penalties: Sequence[float] = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0),
        **options: Any,
    ) -> None:
        super().__init__(penalties, **options)

    def solved(self, x: Tensor, labels: Tensor) -> list[tuple[Tensor, Tensor]]:
        return logistic_path(x, labels, self.num_classes, self.penalties)


def logistic_path(
    x: Tensor, labels: Tensor, classes: int, penalties: Sequence[float]
) -> list[tuple[Tensor, Tensor]]:
    """Weights (C, D) and biases (C,) of each penalty, in the order given.

    Args:
        x: (N, D) float64.
        labels: (N,) int64.
    """
    # x = turned @ basis: the penalty is the same in an orthonormal basis of the pictures' span.
    left, values, basis = torch.linalg.svd(x, full_matrices=False)
    turned = left * values
    weight = x.new_zeros(classes, turned.shape[1], requires_grad=True)
    bias = x.new_zeros(classes, requires_grad=True)
    found = {}
    for penalty in sorted(set(penalties), reverse=True):
        solve(turned, labels, weight, bias, penalty)
        found[penalty] = (weight.detach() @ basis, bias.detach().clone())
    return [found[penalty] for penalty in penalties]


@torch.enable_grad()
def solve(x: Tensor, labels: Tensor, weight: Tensor, bias: Tensor, penalty: float) -> None:
    """Moves weight (C, D) and bias (C,), which require gradients, to the minimum."""
    optimizer = torch.optim.LBFGS(
        [weight, bias], max_iter=STEPS, tolerance_grad=SLOPE, tolerance_change=0.0,
        history_size=KEPT_STEPS, line_search_fn='strong_wolfe',
    )  # fmt: skip

    def objective() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(x @ weight.T + bias, labels) + penalty / 2 * weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(objective)
    objective()
    slope = max(float(each.grad.abs().max()) for each in (weight, bias) if each.grad is not None)
    if slope > UNSOLVED:
        MMLogger.get_current_instance().warning(
            f'logistic regression, penalty {penalty:g}: a slope of {slope:.1e} is left after '
            f'{STEPS} steps of L-BFGS'
        )
