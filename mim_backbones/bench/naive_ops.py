"""The ops as one would first write them in PyTorch: what `mimbench bench ops` compares with."""

import math

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, grid_sample, one_hot


def nms(boxes: Tensor, scores: Tensor, threshold: float) -> Tensor:
    """One kept box at a time against all that are left. boxes (N, 4), scores (N,) -> (M,) int64."""
    from torchvision.ops import box_iou

    left, kept = scores.argsort(descending=True), []
    while len(left):
        kept.append(left[0])
        overlap = box_iou(boxes[left[:1]], boxes[left[1:]])[0]
        left = left[1:][overlap <= threshold]
    return torch.stack(kept)


def roi_align(feature: Tensor, rois: Tensor, bins: int, scale: float, ratio: int) -> Tensor:
    """grid_sample box by box, aligned, average; differentiable.

    feature (B, C, H, W), rois (K, 5) -> (K, C, bins, bins). Equal to RoIAlign inside the map.
    """
    size = torch.tensor([feature.shape[3], feature.shape[2]])
    pooled = []
    for image, x1, y1, x2, y2 in rois.tolist():
        wide, tall = (x2 - x1) * scale / bins, (y2 - y1) * scale / bins
        n_x, n_y = (ratio or max(math.ceil(length), 1) for length in (wide, tall))
        x = x1 * scale + (torch.arange(bins * n_x) + 0.5) * wide / n_x
        y = y1 * scale + (torch.arange(bins * n_y) + 0.5) * tall / n_y
        grid = torch.stack(torch.meshgrid(x, y, indexing='xy'), -1) / size * 2 - 1
        one = feature[int(image) : int(image) + 1]
        samples = grid_sample(one, grid[None], padding_mode='border', align_corners=False)
        pooled.append(adaptive_avg_pool2d(samples, bins))
    return torch.cat(pooled)


def sigmoid_focal_loss(logits: Tensor, target: Tensor) -> Tensor:
    """torchvision's, on a one-hot target; background is class C. logits (N, C) -> scalar mean."""
    from torchvision.ops import sigmoid_focal_loss as focal_loss

    classes = logits.shape[1]
    hot = one_hot(target, classes + 1)[:, :classes].to(logits.dtype)
    return focal_loss(logits, hot, alpha=0.25, gamma=2).sum() / len(logits)
