"""Sigmoid focal loss and its derivative, per element.

q = sigmoid(z)          z = x for the target class, -x for the others
L = -a (1 - q)^gamma log(q)                     a = alpha for the target class, else 1 - alpha
dL/dz = -a (1 - q)^gamma (1 - q - gamma q log(q))
paper: arXiv 1708.02002, equation 5   conventions: mmcv 2.x `sigmoid_focal_loss`
"""

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid


@torch.no_grad()
def sigmoid_focal_loss(
    logits: Tensor, target: Tensor, weight: Tensor | None, gamma: float, alpha: float
) -> Tensor:
    """logits (N, C), target (N,) int64, weight (C,) or None -> loss (N, C).

    target == C is background: a negative for every class. `weight[target]` scales the whole row;
    background rows keep 1 (mmcv's kernel reads past the end of `weight` for them).
    """
    z, chosen = _signed(logits, target)
    loss = (-z).sigmoid() ** gamma * logsigmoid(z)
    return (loss * _factor(chosen, target, weight, alpha, z.dtype)).neg_().to(logits.dtype)


@torch.no_grad()
def sigmoid_focal_loss_backward(
    logits: Tensor, target: Tensor, weight: Tensor | None, gamma: float, alpha: float
) -> Tensor:
    """The derivative dL/dx of each element: (N, C)."""
    z, chosen = _signed(logits, target)
    miss = (-z).sigmoid()  # 1 - q, without its cancellation at large z
    slope = miss**gamma * (miss - gamma * z.sigmoid() * logsigmoid(z))
    slope *= _factor(chosen, target, weight, alpha, z.dtype)
    return torch.where(chosen, -slope, slope).to(logits.dtype)


def _signed(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """z, at least float32, and where a logit is its row's target class: both (N, C)."""
    chosen = target[:, None] == torch.arange(logits.shape[1], device=target.device)
    x = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return torch.where(chosen, x, -x), chosen


def _factor(
    chosen: Tensor, target: Tensor, weight: Tensor | None, alpha: float, dtype: torch.dtype
) -> Tensor:
    """a, times the row's weight: (N, C)."""
    factor = torch.where(chosen, alpha, 1 - alpha).to(dtype)
    if weight is None:
        return factor
    classes = chosen.shape[1]
    foreground = (target >= 0) & (target < classes)
    row_weight = torch.where(foreground, weight.to(dtype)[target.clamp(0, classes - 1)], 1)
    return factor * row_weight[:, None]
