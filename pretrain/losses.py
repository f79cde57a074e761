"""Losses of masked modelling, in three separate pieces: an error, where it counts, the mean.

All are plain functions. Maps are (B, C, h, w); any number of positions (B, C, P) is as good.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def l1(pred: Tensor, target: Tensor) -> Tensor:
    """|pred - target| (arXiv 2111.09886, section 3.4)."""
    return (pred.float() - target.float()).abs()


def l2(pred: Tensor, target: Tensor) -> Tensor:
    """(pred - target)^2: its mean is the MSE."""
    return (pred.float() - target.float()).square()


def smooth_l1(pred: Tensor, target: Tensor, beta: float = 1.0) -> Tensor:
    """d^2 / (2 beta) below beta and d - beta / 2 above, d = |pred - target|."""
    return F.smooth_l1_loss(pred.float(), target.float(), reduction='none', beta=beta)


def cosine(pred: Tensor, target: Tensor) -> Tensor:
    """1 - cos of the angle between the channels, (B, 1, ...)."""
    return 1 - F.cosine_similarity(pred.float(), target.float(), dim=1)[:, None]


def cross_entropy(pred: Tensor, ids: Tensor) -> Tensor:
    """-log p(id) in nats, (B, G, h, w).

    Args:
        pred: logits (B, K, h, w), or (B, G * K, h, w) of G groups, one group after the other.
        ids: (B, h, w), or (B, G, h, w), int64 in [0, K).
    """
    if ids.dim() == pred.dim() - 1:
        ids = ids[:, None]
    logits = pred.float().unflatten(1, (ids.shape[1], -1)).transpose(1, 2)  # (B, K, G, h, w)
    return F.cross_entropy(logits, ids, reduction='none')


# What fits a target's kind, the default first.
ERRORS = {
    'pixels': {'l1': l1, 'l2': l2, 'smooth_l1': smooth_l1},
    'features': {'smooth_l1': smooth_l1, 'cosine': cosine, 'l2': l2, 'l1': l1},
    'ids': {'cross_entropy': cross_entropy},
}

# Where an error counts, from the hidden share of each position (see `hidden_positions`).
SELECTORS = {
    'masked': lambda hidden: hidden,
    'all': torch.ones_like,
    'visible': lambda hidden: 1 - hidden.float(),
}


def masked_mean(error: Tensor, counted: Tensor) -> Tensor:
    """Mean of an error over what counts of a batch.

    Args:
        error: (B, C, h, w).
        counted: (B, 1, h, w) bool, or the share of each position that counts.

    Returns:
        Scalar in float32. The 1e-5 of SimMIM's released code keeps an empty mask at 0.
    """
    return (error.float() * counted).sum() / (counted.sum() + 1e-5) / error.shape[1]


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


def beside(maps: Tensor, whole: Tensor) -> Tensor:
    """A map (B, C, h, w) and the whole image's vector (B, C) as positions (B, C, 1 + h * w)."""
    return torch.cat([whole[..., None], maps.flatten(2)], dim=2)
