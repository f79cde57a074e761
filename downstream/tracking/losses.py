"""The losses of a centre-head tracker, as plain functions (OSTrack, arXiv 2203.11991, section 3.3).

    L = focal(score map, Gaussian at the true centre) + 2 * (1 - GIoU) + 5 * L1

Checked against the published implementation, botaoye/OSTrack 33b5e12. There an exception inside
GIoU is swallowed and the loss becomes 0; here nothing is swallowed.
"""

import torch
from torch import Tensor

from downstream.tracking.box import cxcywh_to_xyxy, iou_and_giou, xywh_to_xyxy


def gaussian_radius(size: Tensor, min_overlap: float = 0.7) -> Tensor:
    """How far a corner may move and the box still overlap: (..., 2) w, h in cells -> (...) cells.

    CornerNet's rule (arXiv 1808.01244, section 3.2) in the form everybody copied: the least of
    three radii, each (b + root) / 2 with the division by the leading coefficient left out. In that
    form the third, for a box that shrinks on both sides, is the least for every size and overlap:

        r = sqrt(m^2 (w + h)^2 + 4 m (1 - m) w h) - m (w + h)
    """
    m, total, area = min_overlap, size.sum(dim=-1), size.prod(dim=-1)
    return (m * m * total * total + 4 * m * (1 - m) * area).sqrt() - m * total


def gaussian_heatmap(truth: Tensor, cells: int) -> Tensor:
    """Target score maps: truth (B, 4) xywh as fractions of the crop -> (B, cells, cells).

    The peak is 1 at the cell the centre rounds to (ties to even); a centre that rounds outside the
    map leaves no cell at 1. Sigma is (2 r + 1) / 6, zero beyond r cells on either axis.
    """
    scaled = truth * cells
    radius = gaussian_radius(scaled[:, 2:].clamp(min=0)).floor()[:, None, None]
    centre = (scaled[:, :2] + scaled[:, 2:] / 2).round()
    axis = torch.arange(cells, device=truth.device, dtype=truth.dtype)
    dx = (axis[None, :] - centre[:, :1])[:, None, :]
    dy = (axis[None, :] - centre[:, 1:])[:, :, None]
    heat = torch.exp(-(dx * dx + dy * dy) / (2 * ((2 * radius + 1) / 6) ** 2))
    return heat * ((dx.abs() <= radius) & (dy.abs() <= radius))


def focal_loss(score: Tensor, heatmap: Tensor) -> Tensor:
    """Penalty-reduced focal loss: probabilities and targets (B, cells, cells) -> scalar.

    Divided by the number of cells that are exactly 1 in the batch, by 1 when there is none.
    """
    positive = heatmap == 1
    hit = (1 - score) ** 2 * score.log() * positive
    miss = (1 - heatmap) ** 4 * score**2 * (1 - score).log() * ~positive
    return -(hit + miss).sum() / positive.sum().clamp(min=1)


def tracking_losses(
    score: Tensor,
    predicted: Tensor,
    truth: Tensor,
    focal_weight: float = 1.0,
    giou_weight: float = 2.0,
    l1_weight: float = 5.0,
) -> dict[str, Tensor]:
    """The weighted terms, their sum is the loss; `iou` is for the log.

    score (B, 1, n, n) probabilities; predicted (B, 4) cxcywh and truth (B, 4) xywh, as fractions
    of the crop. The truth is cut to the crop before boxes are compared.
    """
    heatmap = gaussian_heatmap(truth, score.shape[-1])
    predicted_corners = cxcywh_to_xyxy(predicted)
    true_corners = xywh_to_xyxy(truth).clamp(0, 1)
    iou, giou = iou_and_giou(predicted_corners, true_corners)
    return {
        'loss_focal': focal_weight * focal_loss(score[:, 0], heatmap),
        'loss_giou': giou_weight * (1 - giou).mean(),
        'loss_l1': l1_weight * (predicted_corners - true_corners).abs().mean(),
        'iou': iou.mean().detach(),
    }
