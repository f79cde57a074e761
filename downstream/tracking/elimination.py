"""Candidate elimination: search tokens that the template looks away from are dropped on the way.

    score_s = mean over heads and over the asked template tokens t of attention[t -> s]
    the ceil(share * n) highest of the n that are left go on, the others end as zero vectors

paper: arXiv 2203.11991 (OSTrack), section 3.2; botaoye/OSTrack 33b5e12
Between the attention and the MLP of some blocks. How many stay is known before an image is.
"""

import math
from collections.abc import Callable, Sequence

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor

from downstream.registry import HOOKS
from mim_backbones.training.distributed import undistributed

# Template tokens that are asked; published as CTR_POINT, CTR_REC, GT_BOX and ALL.
RANGES = ('centre', 'centre-square', 'box', 'all')


class Elimination:
    """Which search tokens go on, for `MIMViT.encode`.

    Args:
        blocks: blocks, from 0, in which candidates leave.
        keep: share that stays in each; one number for all or one for each.
        template: which template tokens are asked, one of RANGES: the token in the middle (of an
            even number the one left above); that or, of an even number, the middle 2 x 2; those
            in the target's box; all.
        start, warm: in training all stay in the epochs before `start`; then the share falls along
            half a cosine for `warm` epochs.

    Raises:
        ValueError: shares outside (0, 1], not one a block, or no such range.
    """

    def __init__(
        self,
        blocks: Sequence[int] = (3, 6, 9),
        keep: float | Sequence[float] = 0.7,
        template: str = 'centre',
        start: int = 20,
        warm: int = 80,
    ) -> None:
        shares = [keep] * len(blocks) if isinstance(keep, int | float) else list(keep)
        if len(shares) != len(blocks) or not all(0 < share <= 1 for share in shares):
            raise ValueError(
                f'Elimination: keep={keep} for blocks {tuple(blocks)}; one share of (0, 1] each'
            )
        if template not in RANGES:
            raise ValueError(f'Elimination: template={template!r}; known: {", ".join(RANGES)}')
        self.shares = dict(zip(blocks, shares))
        self.template = template
        self.start, self.warm = start, warm

    def share_at(self, epoch: int) -> float:
        """What stays in every block in a training epoch, counted from 1 as published."""
        final = next(iter(self.shares.values()), 1.0)
        if epoch < self.start:
            return 1.0
        if epoch >= self.start + self.warm:
            return final
        left = (1 + math.cos(math.pi * (epoch - self.start) / self.warm)) / 2
        return final + (1 - final) * left

    def staying(self, block: int, candidates: int, share: float | None = None) -> int:
        """How many candidates stay in a block; `share` in place of one of its own below 1."""
        own = self.shares.get(block, 1.0)
        return math.ceil((own if share is None or own == 1 else share) * candidates)

    def asked(self, cells: int) -> Tensor:
        """Places of the template tokens that are asked, of `cells` along a side: (R,) int64."""
        places = torch.arange(cells * cells).unflatten(0, (cells, cells))
        first, last = (cells - 1) // 2, cells // 2
        if self.template == 'centre':
            last = first
        if self.template in ('centre', 'centre-square'):
            places = places[first : last + 1, first : last + 1]
        return places.flatten()

    def chooser(
        self, cells: int, in_box: Tensor | None = None, share: float | None = None
    ) -> Callable[[int, Callable[[Tensor], Tensor]], Tensor | None]:
        """What `MIMViT.encode` asks in each block, of template tokens followed by search tokens.

        Args:
            cells: template tokens along a side.
            in_box: (B, cells * cells) bool, of template='box', see `tokens_in_box`.
            share: see `staying`; for training.
        """
        count, rows = cells * cells, self.asked(cells)

        def choose(block: int, attention: Callable[[Tensor], Tensor]) -> Tensor | None:
            if block not in self.shares or self.staying(block, 10**9, share) == 10**9:
                return None
            given = attention(rows)[..., count:]  # (B, heads, R, n)
            if in_box is None:
                score = given.mean(2).mean(1)
            else:
                weight = in_box / in_box.sum(1, keepdim=True)
                score = (given * weight[:, None, :, None]).sum(2).mean(1)
            left = self.staying(block, score.shape[1], share)
            order = score.argsort(dim=1, descending=True, stable=True)[:, :left]
            template = torch.arange(count, device=order.device).expand(len(order), -1)
            return torch.cat([template, order + count], dim=1)

        return choose


def tokens_in_box(box: Tensor, side: int, cells: int, published: bool = False) -> Tensor:
    """Template tokens whose middle the target's box covers: (B, cells * cells) bool, at least one.

    Args:
        box: (B, 4) xywh as fractions of the template crop.
        side: of that crop, in pixels.
        published: rasterise the box first, its last row and column left out.
    """
    start, size = (box * side).split(2, dim=1)
    end = start + size
    middle = (torch.arange(cells, device=box.device) + 0.5) * (side / cells)
    low, high = middle, middle
    if published:
        start, end = start.trunc(), (end - 1).trunc()
        low, high = middle.floor(), middle.ceil()
    inside = (start[..., None] <= low) & (high <= end[..., None])  # (B, 2, cells): columns, rows
    nearest = (middle - (box[:, :2] + box[:, 2:] / 2)[..., None] * side).abs().argmin(-1)
    only = torch.nn.functional.one_hot(nearest, cells).bool()
    columns, rows = (inside | (only & ~inside.any(-1, keepdim=True))).unbind(1)
    return (rows[:, :, None] & columns[:, None]).flatten(1)


@HOOKS.register_module()
class EliminationSchedule(Hook):
    """In each training epoch, sets how many candidates a OneStreamTracker keeps.

    Args:
        iterations: that count as an epoch; default: the epochs of the loop.
    """

    def __init__(self, iterations: int | None = None) -> None:
        self.iterations = iterations

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | tuple | list | None = None
    ) -> None:
        epoch = runner.iter // self.iterations if self.iterations else runner.epoch
        model = undistributed(runner.model)
        model.share = model.elimination.share_at(epoch + 1)
