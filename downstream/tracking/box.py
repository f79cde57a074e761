"""Boxes as tensors: conversions and overlap. Every function takes (..., 4) and keeps the dtype.

xywh    left, top, width, height (what data sets write)
xyxy    left, top, right, bottom
cxcywh  centre x, centre y, width, height (what the head predicts)
"""

import torch
from torch import Tensor


def xywh_to_xyxy(box: Tensor) -> Tensor:
    corner, size = box.split(2, dim=-1)
    return torch.cat([corner, corner + size], dim=-1)


def cxcywh_to_xyxy(box: Tensor) -> Tensor:
    centre, size = box.split(2, dim=-1)
    return torch.cat([centre - size / 2, centre + size / 2], dim=-1)


def cxcywh_to_xywh(box: Tensor) -> Tensor:
    centre, size = box.split(2, dim=-1)
    return torch.cat([centre - size / 2, size], dim=-1)


def iou_and_giou(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Overlap of pairs of xyxy boxes: (..., 4), (..., 4) -> IoU (...), generalised IoU (...).

    GIoU = IoU - (enclosing - union) / enclosing, in [-1, 1] (arXiv 1902.09630). Two boxes without
    area have IoU 0 and GIoU 0 or -1, never NaN.
    """
    tiny = torch.finfo(first.dtype).tiny
    shared = _area(
        torch.maximum(first[..., :2], second[..., :2]),
        torch.minimum(first[..., 2:], second[..., 2:]),
    )
    union = (
        _area(first[..., :2], first[..., 2:]) + _area(second[..., :2], second[..., 2:]) - shared
    ).clamp(min=tiny)
    enclosing = _area(
        torch.minimum(first[..., :2], second[..., :2]),
        torch.maximum(first[..., 2:], second[..., 2:]),
    ).clamp(min=tiny)
    iou = shared / union
    return iou, iou - (enclosing - union) / enclosing


def _area(upper_left: Tensor, lower_right: Tensor) -> Tensor:
    return (lower_right - upper_left).clamp(min=0).prod(dim=-1)
