"""Soft-NMS: boxes that overlap a picked one lose score instead of being dropped.

repeat: pick the best score; score[j] *= decay(IoU(picked, j)); drop j below min_score
decay: naive 0 above the threshold; linear 1 - IoU above it; gaussian exp(-IoU^2 / sigma)
paper: arXiv 1704.04503, section 3, equations 1 to 3   conventions: mmcv 2.x `soft_nms`
"""

import torch
from torch import Tensor

METHODS = ('naive', 'linear', 'gaussian')  # mmcv numbers them in this order


@torch.no_grad()
def soft_nms(
    boxes: Tensor,
    scores: Tensor,
    iou_threshold: float,
    sigma: float = 0.5,
    min_score: float = 1e-3,
    method: str = 'linear',
    offset: int = 0,
) -> tuple[Tensor, Tensor]:
    """boxes (N, 4), scores (N,) -> picked rows (M, 5) of box and decayed score, indices (M,) int64.

    In the order of picking. The best box always stays, whatever `min_score`. Of equal scores the
    earlier box is picked first (mmcv's order among ties depends on its swaps).
    """
    left = torch.arange(len(boxes), device=boxes.device)
    score = scores.to(boxes.dtype)
    area = (boxes[:, 2:] - boxes[:, :2] + offset).prod(1)
    rows, picked = [], []
    while len(left):
        best = int(score.argmax())
        index = left[best]
        picked.append(index)
        rows.append(torch.cat((boxes[index], score[best, None])))
        rest = torch.cat((left[:best], left[best + 1 :]))
        low = torch.maximum(boxes[index, :2], boxes[rest, :2])
        high = torch.minimum(boxes[index, 2:], boxes[rest, 2:])
        overlap = (high - low + offset).clamp(min=0).prod(1)
        iou = (overlap / (area[index] + area[rest] - overlap)).nan_to_num(0)  # empty boxes: 0 / 0
        score = torch.cat((score[:best], score[best + 1 :]))
        score = score * _decay(iou, iou_threshold, sigma, method)
        stays = score >= min_score
        left, score = rest[stays], score[stays]
    if not rows:
        return boxes.new_zeros(0, 5), left
    return torch.stack(rows), torch.stack(picked)


def _decay(iou: Tensor, threshold: float, sigma: float, method: str) -> Tensor:
    if method == 'gaussian':
        return (-(iou**2) / sigma).exp()
    above = 1 - iou if method == 'linear' else torch.zeros_like(iou)
    return torch.where(iou >= threshold, above, 1)
