"""The frames as mmtracking's one-pass evaluation (27b33fc) sees them.

The first prediction counts as it is, and gaps stay gaps. Centres are xy + wh / 2. Overlap is scored
where the truth has an area, distance where its centre lies right of and below 0; elsewhere every
distance is a hit (-1). Shares are of all frames, also where absent ones are left out.

Boxes are corners, and thresholds are multiples of 0.05: both differ from the other evaluators' in
the last bit, which decides ties.
"""

import numpy as np
from numpy.typing import NDArray

MMTRACKING_THRESHOLDS = np.arange(21) * 0.05
TINY = 1e-16  # keeps an empty truth's size from being divided by


def mmtracking_errors(
    predicted: NDArray, truth: NDArray, counted: NDArray
) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """predicted, truth (T, 4) xywh -> iou, centre error (px), normalised error, valid, (T,) each.

    counted: (T,) bool, False where a frame is left out and thus is never a hit.
    """
    valid = (truth[:, 2:] > 0).all(axis=1) & counted
    first, second = (np.hstack([box[:, :2], box[:, :2] + box[:, 2:]]) for box in (predicted, truth))
    iou = np.where(valid, _overlap(first, second), -1.0)
    found, wanted = (0.5 * (box[:, 2:] + box[:, :2]) for box in (first, second))
    size = second[:, 2:] - second[:, :2] + TINY
    centre_error = _distance(found, wanted)
    norm_error = _distance(found / size, wanted / size)
    centre_error[~counted] = norm_error[~counted] = np.inf
    return iou, centre_error, norm_error, valid


def _distance(found: NDArray, wanted: NDArray) -> NDArray:
    apart = np.sqrt(((found - wanted) ** 2).sum(axis=1))
    return np.where((wanted > 0).all(axis=1), apart, -1.0)


def _overlap(first: NDArray, second: NDArray) -> NDArray:
    """IoU of pairs of xyxy boxes; 0 for two without area."""
    upper = np.maximum(first[:, :2], second[:, :2])
    lower = np.minimum(first[:, 2:], second[:, 2:])
    shared = np.maximum(lower - upper, 0).prod(axis=1)
    area, other = ((box[:, 2:] - box[:, :2]).prod(axis=1) for box in (first, second))
    union = area + other - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
