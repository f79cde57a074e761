"""Greedy non-maximum suppression, exact, without a loop over boxes.

    keep[j] = no i scored above j with keep[i] and IoU(i, j) > threshold

The rule refers only to higher-scored boxes, so it has one solution, and repeating it from `keep
all` reaches that solution after as many rounds as the longest chain of suppressions (a handful).

Detectors separate classes by moving them far apart. Boxes are therefore first split wherever a gap
on x separates them; groups never interact and are packed into blocks of bounded size.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

BLOCK = 1024  # boxes compared with each other at a time: 4 MB per float matrix


@torch.no_grad()
def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int = 0) -> Tensor:
    """boxes (N, 4) as (x1, y1, x2, y2), scores (N,) -> kept indices (M,) int64, best score first.

    A box goes when its IoU with a kept, higher-scored box is above the threshold (equal stays). Of
    equal scores the earlier box counts as higher. offset 1 counts x2 and y2 as inside the box.
    Source: mmcv 2.x `nms`, whose sort leaves equal scores in any order, unlike torchvision's;
    IoU of two empty boxes (0 / 0) suppresses nothing there, nor here.
    """
    boxes = boxes.to(torch.promote_types(boxes.dtype, torch.float32))
    order = scores.argsort(descending=True, stable=True)
    keep = torch.zeros(len(boxes), dtype=torch.bool, device=boxes.device)
    for group in _separate_groups(boxes[order], offset):
        keep[group] = _greedy(boxes[order[group]], iou_threshold, offset)
    return order[keep]


def _separate_groups(boxes: Tensor, offset: int) -> Iterator[Tensor]:
    """Indices of boxes that no x gap separates, small groups joined up to BLOCK, each ascending."""
    left, by_left = boxes[:, 0].sort()
    reach = (boxes[:, 2][by_left] + offset).cummax(0).values
    starts = (left[1:] >= reach[:-1]).nonzero().view(-1).add(1).tolist()
    begin = end = 0
    for border in [*starts, len(boxes)]:
        if border - begin > BLOCK and end > begin:
            yield by_left[begin:end].sort().values
            begin = end
        end = border
    if end > begin:
        yield by_left[begin:end].sort().values


def _greedy(boxes: Tensor, threshold: float, offset: int) -> Tensor:
    """boxes (N, 4), best first -> keep (N,) bool. Block by block, against what is kept so far."""
    kept = boxes[:0]
    flags = []
    for block in boxes.split(BLOCK):
        free = ~(_iou(kept, block, offset) > threshold).any(0)
        candidates = block[free]
        suppresses = (_iou(candidates, candidates, offset) > threshold).triu(1)
        free[free.clone()] = survivors = _resolve(suppresses)
        kept = torch.cat((kept, candidates[survivors]))
        flags.append(free)
    return torch.cat(flags)


def _resolve(suppresses: Tensor) -> Tensor:
    """suppresses (N, N) bool, strictly upper triangular -> the greedy keep (N,) bool."""
    keep, better = suppresses.new_ones(len(suppresses)), ~suppresses.any(0)
    while not torch.equal(keep, better):
        keep, better = better, ~(suppresses & better[:, None]).any(0)
    return keep


def _iou(one: Tensor, other: Tensor, offset: int) -> Tensor:
    """(N, 4), (M, 4) -> (N, M)."""
    low = torch.maximum(one[:, None, :2], other[None, :, :2])
    high = torch.minimum(one[:, None, 2:], other[None, :, 2:])
    overlap = (high - low + offset).clamp_(min=0).prod(-1)
    area_one, area_other = ((b[:, 2:] - b[:, :2] + offset).prod(-1) for b in (one, other))
    return overlap / (area_one[:, None] + area_other - overlap)
