"""Losses of masked modelling: plain functions on tensors, means over what is hidden."""

import torch.nn.functional as F
from torch import Tensor


def masked_mean(error: Tensor, hidden: Tensor) -> Tensor:
    """Mean of `error` over the hidden part of a batch.

    Args:
        error: (B, C, h, w).
        hidden: (B, 1, h, w) bool, True = hidden, or the share of each position that is hidden.

    Returns:
        Scalar in float32. The 1e-5 of SimMIM's released code keeps an empty mask at 0.
    """
    return (error.float() * hidden).sum() / (hidden.sum() + 1e-5) / error.shape[1]


def masked_l1(pred: Tensor, target: Tensor, hidden: Tensor) -> Tensor:
    """Mean |pred - target| (arXiv 2111.09886, section 3.4); pred, target (B, C, h, w)."""
    return masked_mean((pred.float() - target.float()).abs(), hidden)


def masked_l2(pred: Tensor, target: Tensor, hidden: Tensor) -> Tensor:
    """Mean (pred - target)^2; pred, target (B, C, h, w)."""
    return masked_mean((pred.float() - target.float()).square(), hidden)


def masked_smooth_l1(pred: Tensor, target: Tensor, hidden: Tensor, beta: float = 1.0) -> Tensor:
    """Mean of d^2 / (2 beta) below beta and d - beta / 2 above, d = |pred - target|."""
    error = F.smooth_l1_loss(pred.float(), target.float(), reduction='none', beta=beta)
    return masked_mean(error, hidden)


def masked_cross_entropy(pred: Tensor, ids: Tensor, hidden: Tensor) -> Tensor:
    """Mean -log p(id) in nats.

    Args:
        pred: logits (B, K, h, w), or (B, G * K, h, w) of G groups, one group after the other.
        ids: (B, h, w), or (B, G, h, w), int64 in [0, K).
    """
    if ids.dim() == 3:
        ids = ids[:, None]
    logits = pred.float().unflatten(1, (ids.shape[1], -1)).transpose(1, 2)  # (B, K, G, h, w)
    return masked_mean(F.cross_entropy(logits, ids, reduction='none'), hidden)


def hidden_positions(mask: Tensor, mask_size: int, stride: int) -> Tensor:
    """A patch mask at the resolution of a target.

    Args:
        mask: (B, H/m, W/m) bool, True = hidden.
        mask_size: m, pixels that a cell of the mask covers per side.
        stride: s, pixels that a position of the target covers per side; one divides the other.

    Returns:
        (B, 1, H/s, W/s): bool, or where a position covers several cells, its hidden share as
        float32: a target that averages pixels counts by as many of them as are hidden.
    """
    if mask_size % stride:
        return F.avg_pool2d(mask[:, None].float(), stride // mask_size)
    repeats = mask_size // stride
    return mask.repeat_interleave(repeats, 1).repeat_interleave(repeats, 2)[:, None]


# What fits a target's kind, the default first.
LOSSES = {
    'pixels': {'l1': masked_l1, 'l2': masked_l2, 'smooth_l1': masked_smooth_l1},
    'ids': {'cross_entropy': masked_cross_entropy},
}
