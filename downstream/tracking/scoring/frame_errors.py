"""How far each frame's box is from the truth.

Per frame, boxes xywh, p predicted and g true:

    IoU   overlap
    e     |c_p - c_g|, c = xy + (wh - 1)/2
    n     |(c_p - c_g) / wh_g|, each axis divided by the truth's size

The first prediction is the truth. A prediction without area repeats the one before. A frame whose
truth is not valid (rules.py) has IoU -1; visible ones have n = -1, which counts as a hit in
normalised precision under every protocol. Yes, really.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from downstream.tracking.scoring.mmtracking import mmtracking_errors
from downstream.tracking.scoring.rules import (
    CONVENTIONS,
    MMTRACKING,
    RULES,
    Rules,
    check_protocol,
)
from mim_backbones.errors import UserError


@dataclass(frozen=True)
class FrameErrors:
    """Per frame: iou (T,), centre_error (T,) px, norm_error (T,), valid (T,) bool.

    protocol: by whose rules.
    """

    iou: NDArray
    centre_error: NDArray
    norm_error: NDArray
    valid: NDArray
    protocol: str


def frame_errors(
    predicted: NDArray,
    truth: NDArray,
    visible: NDArray | None = None,
    protocol: str = 'ostrack',
    convention: str = 'lasot',
) -> FrameErrors:
    """Compare (T, 4) predictions with (T, 4) truth, xywh float64; visible: (T,) bool or None.

    A longer prediction is cut, as every evaluator cuts it (LaSOT's monkey-17).
    Raises UserError for what cannot be scored: NaN or negative sizes, NaN truth, too few boxes.
    """
    check_protocol(protocol)
    if convention not in CONVENTIONS:
        raise UserError(f'convention {convention!r} is not one of {", ".join(CONVENTIONS)}')
    if convention != 'lasot' and protocol not in ('ostrack', 'pytracking'):
        raise UserError(f'{protocol} scores LaSOT alone; convention {convention!r} needs ostrack '
                        'or pytracking')  # fmt: skip
    truth = np.array(truth, dtype=np.float64)
    rules = RULES.get(protocol, RULES['ostrack'])
    predicted = _checked(np.array(predicted, dtype=np.float64), truth, rules, convention)
    absent = np.zeros(len(truth), bool) if visible is None else ~np.asarray(visible, dtype=bool)
    if protocol in MMTRACKING:
        counted = ~absent | MMTRACKING[protocol]
        return FrameErrors(*mmtracking_errors(predicted, truth, counted), protocol)

    predicted = _without_gaps(predicted, truth, rules)
    must_be_positive = truth if rules.corner else truth[:, 2:]
    valid = (must_be_positive > 0).all(axis=1) & ~absent
    iou = _overlap(predicted, truth)
    found, wanted = (boxes[:, :2] + 0.5 * (boxes[:, 2:] - 1) for boxes in (predicted, truth))
    centre_error = np.sqrt(((found - wanted) ** 2).sum(axis=1))
    with np.errstate(divide='ignore', invalid='ignore'):
        # Both are divided before one is taken from the other, as the evaluators do: the last bit
        # decides whether a frame at exactly 0.20 counts.
        offset = found / truth[:, 2:] - wanted / truth[:, 2:]
        norm_error = np.sqrt((offset**2).sum(axis=1))

    iou[~valid] = -1
    centre_error[~valid] = -1 if convention == 'uav' else rules.invalid_distance
    norm_error[~valid] = -1
    if convention == 'lasot':
        centre_error[absent] = norm_error[absent] = np.inf
    return FrameErrors(iou, centre_error, norm_error, valid, protocol)


def gaps(predicted: NDArray) -> NDArray:
    """(T,) bool: boxes without area, or that are no boxes; the first frame is never one."""
    found = ~np.isfinite(predicted).all(axis=1) | (predicted[:, 2:] <= 0).any(axis=1)
    found[:1] = False
    return found


def _checked(predicted: NDArray, truth: NDArray, rules: Rules, convention: str) -> NDArray:
    """As many predictions as there are true boxes, all of them boxes."""
    if np.isnan(truth).any() and convention != 'uav':
        raise UserError('the truth holds NaN; absent frames are marked by the flag files')
    if np.isinf(predicted).any():
        raise UserError('the predicted boxes hold infinite values; the tracker diverged')
    if not rules.repairs:
        if np.isnan(predicted).any():
            raise UserError('the predicted boxes hold NaN; the tracker diverged')
        if (predicted[:, 2:] < 0).any():
            raise UserError('a predicted box has negative width or height; expected x,y,w,h')
    if len(predicted) < len(truth) and convention == 'lasot':
        raise UserError(
            f'{len(predicted)} predicted boxes for {len(truth)} frames; track the whole sequence'
        )
    return predicted[: len(truth)]


def _without_gaps(predicted: NDArray, truth: NDArray, rules: Rules) -> NDArray:
    """(T, 4): gaps filled from the frame before, the end from nowhere, the start from the truth."""
    known = ~np.isnan(truth[: len(predicted)]).any(axis=1)
    for index in np.flatnonzero(gaps(predicted) & known):
        predicted[index] = predicted[index - 1]
    missing = np.zeros((len(truth) - len(predicted), 4))
    predicted = np.concatenate([predicted, missing])
    predicted[0] = truth[0]
    return predicted


def _overlap(first: NDArray, second: NDArray) -> NDArray:
    """IoU of pairs of xywh boxes, (T, 4) each -> (T,); 0 for two boxes without area, or NaN."""
    upper = np.maximum(first[:, :2], second[:, :2])
    # The last pixel and back, as the evaluators do: it cancels but for the last bit.
    lower = np.minimum(first[:, :2] + first[:, 2:] - 1, second[:, :2] + second[:, 2:] - 1)
    shared = np.maximum(lower - upper + 1, 0).prod(axis=1)
    union = first[:, 2:].prod(axis=1) + second[:, 2:].prod(axis=1) - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
