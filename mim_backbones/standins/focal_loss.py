"""Sigmoid focal loss and its derivative, per element.

p = sigmoid(x)
target class   L = -alpha       (1 - p)^gamma log(p)
other classes  L = -(1 - alpha)      p^gamma  log(1 - p)
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
    x = logits.to(torch.promote_types(logits.dtype, torch.float32))
    p, log_p, log_q = x.sigmoid(), logsigmoid(x), logsigmoid(-x)
    positive = -alpha * (1 - p) ** gamma * log_p
    negative = -(1 - alpha) * p**gamma * log_q
    return _select(positive, negative, target, weight).to(logits.dtype)


@torch.no_grad()
def sigmoid_focal_loss_backward(
    logits: Tensor, target: Tensor, weight: Tensor | None, gamma: float, alpha: float
) -> Tensor:
    """The derivative dL/dx of each element: (N, C)."""
    x = logits.to(torch.promote_types(logits.dtype, torch.float32))
    p, log_p, log_q = x.sigmoid(), logsigmoid(x), logsigmoid(-x)
    positive = -alpha * (1 - p) ** gamma * (1 - p - gamma * p * log_p)
    negative = -(1 - alpha) * p**gamma * (gamma * (1 - p) * log_q - p)
    return _select(positive, negative, target, weight).to(logits.dtype)


def _select(positive: Tensor, negative: Tensor, target: Tensor, weight: Tensor | None) -> Tensor:
    classes = positive.shape[1]
    chosen = target[:, None] == torch.arange(classes, device=target.device)
    loss = torch.where(chosen, positive, negative)
    if weight is None:
        return loss
    foreground = (target >= 0) & (target < classes)
    row_weight = torch.where(foreground, weight.to(loss.dtype)[target.clamp(0, classes - 1)], 1)
    return loss * row_weight[:, None]
