"""Losses of masked modelling, in three separate pieces: an error, where it counts, the mean.

All are plain functions; `Criterion` is the three of a recipe. Maps are (B, C, h, w); any number of
positions (B, C, P) is as good.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from mim_backbones.backbones.base import check_option


def l1(pred: Tensor, target: Tensor) -> Tensor:
    """|pred - target| (arXiv 2111.09886, section 3.4)."""
    return (pred.float() - target.float()).abs()


def l2(pred: Tensor, target: Tensor) -> Tensor:
    """(pred - target)^2: its mean is the MSE."""
    return (pred.float() - target.float()).square()


def smooth_l1(pred: Tensor, target: Tensor, beta: float = 1.0) -> Tensor:
    """d^2 / (2 beta) below beta and d - beta / 2 above, d = |pred - target|."""
    return F.smooth_l1_loss(pred.float(), target.float(), reduction='none', beta=beta)


def cosine(pred: Tensor, target: Tensor, shift: float = 1.0, scale: float = 1.0) -> Tensor:
    """shift - scale * cos of the angle between the channels, (B, 1, ...).

    2 and 2: the squared distance of vectors of length 1 (MILAN, DeepMIM); 0 and 1: EVA's.
    """
    return shift - scale * F.cosine_similarity(pred.float(), target.float(), dim=1)[:, None]


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


def divergence(logits: Tensor, target: Tensor) -> Tensor:
    """KL(target || softmax of logits) in nats over the last axis: (..., N) -> (...).

    target: probabilities.
    """
    return F.kl_div(logits.float().log_softmax(-1), target.float(), reduction='none').sum(-1)


# What fits a target's kind, the default first.
ERRORS: dict[str, dict[str, Callable[..., Tensor]]] = {
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
CLS = '+cls'  # behind a selector: the CLS token's prediction of the whole image counts as well


@dataclass(frozen=True)
class Criterion:
    """What a recipe says of its loss.

    Attributes:
        error: predictions and values -> what they differ by.
        selector: a name of `SELECTORS`.
        with_cls: whether the first position is the whole image's, and counts as one more.
    """

    error: Callable[[Tensor, Tensor], Tensor]
    selector: str
    with_cls: bool

    def __call__(self, pred: Tensor, values: Tensor, hidden: Tensor) -> Tensor:
        """Scalar. pred, values: as the error takes them; hidden: see `hidden_positions`."""
        counted = SELECTORS[self.selector](hidden)
        if self.with_cls:
            counted = beside(counted, counted.new_ones(len(counted), 1))
        return masked_mean(self.error(pred, values), counted)


def criterion(
    who: str,
    kind: str,
    loss: str | None,
    selector: str,
    beta: float = 1.0,
    shift: float = 1.0,
    scale: float = 1.0,
) -> Criterion:
    """The three pieces by their names.

    Args:
        who: names method and target in messages.
        kind: of the target.
        loss: a name of `ERRORS` that fits it; None: the first.
        selector: a name of `SELECTORS`, perhaps with '+cls' behind.
        beta: of 'smooth_l1'.
        shift, scale: of 'cosine'.

    Raises:
        ValueError: there is no such loss or selector.
    """
    fitting = ERRORS.get(kind, {})
    name = loss or next(iter(fitting), 'none')
    check_option(who, 'loss', name, tuple(fitting))
    where = selector.removesuffix(CLS)
    check_option(who, 'selector', where, tuple(SELECTORS))
    options = {'smooth_l1': {'beta': beta}, 'cosine': {'shift': shift, 'scale': scale}}
    error = partial(fitting[name], **options.get(name, {}))
    return Criterion(error, where, with_cls=where != selector)


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


def cell_means(maps: Tensor, side: int) -> Tensor:
    """(B, C, h, w) -> (B, C, h / side, w / side), for a target of fewer positions; side >= 1."""
    return maps if side == 1 else F.avg_pool2d(maps, side)


def beside(maps: Tensor, whole: Tensor) -> Tensor:
    """A map (B, C, h, w) and the whole image's vector (B, C) as positions (B, C, 1 + h * w)."""
    return torch.cat([whole[..., None], maps.flatten(2)], dim=2)
