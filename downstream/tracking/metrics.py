"""LaSOT's scores, exactly: success (AUC), precision (P) and normalised precision (P_norm).

Per frame, boxes xywh, p predicted and g true:

    IoU   overlap                           success:   share of frames with IoU > 0, 0.05 .. 1
    e     |c_p - c_g|, c = xy + (wh - 1)/2  precision: share of frames with e <= 0, 1 .. 50 px
    n     |(c_p - c_g) / wh_g|              normalised precision: n <= 0, 0.01 .. 0.50

AUC is the mean of the 21 success values, P is at 20 px, P_norm at 0.20. The first prediction is
the truth. A prediction without area repeats the one before. Shares are of ALL annotated frames.

The evaluators in use differ in what they do with frames whose truth is odd. `protocol`:
    ostrack       a frame is valid when w > 0 and h > 0 and it is visible. OSTrack 33b5e12 and what
                  MAE-Lite ships (and pytracking before August 2022): our default.
    pytracking    valid needs x > 0 and y > 0 as well (7eb9e74).
    lasot_matlab  as pytracking; absent frames never count as hits, invalid visible ones are hits in
                  precision too; a sequence that scores nothing at all leaves the mean.
In all of them a visible but invalid frame counts as a hit in normalised precision. Yes, really.
"""

from dataclasses import dataclass

import numpy as np

from mim_backbones.errors import UserError

PROTOCOLS = ('ostrack', 'pytracking', 'lasot_matlab')

# The last bit decides ties. The evaluators take torch.arange(0, 1.05, 0.05), which adds
# multiples of the step in groups of four: 0.15000000000000002, 0.7500000000000001.
_STEP = np.arange(21)
SUCCESS_THRESHOLDS = _STEP // 4 * 4 * 0.05 + _STEP % 4 * 0.05
PRECISION_THRESHOLDS = np.arange(51) / 1.0
NORM_PRECISION_THRESHOLDS = np.arange(51) / 100
# Where the curves are read for the headline numbers: 20 px and 0.20.
PRECISION_AT = NORM_PRECISION_AT = 20


@dataclass(frozen=True)
class FrameErrors:
    """Per frame: iou (T,), centre_error (T,) px, norm_error (T,), valid (T,) bool."""

    iou: np.ndarray
    centre_error: np.ndarray
    norm_error: np.ndarray
    valid: np.ndarray


@dataclass(frozen=True)
class SequenceCurves:
    """Shares of frames: success (21,), precision (51,), norm_precision (51,).

    mean_overlap: mean IoU of the valid frames.
    """

    success: np.ndarray
    precision: np.ndarray
    norm_precision: np.ndarray
    mean_overlap: float


def frame_errors(
    predicted: np.ndarray,
    truth: np.ndarray,
    visible: np.ndarray | None = None,
    protocol: str = 'ostrack',
    dataset: str = 'lasot',
) -> FrameErrors:
    """Compare (T, 4) predictions with (T, 4) truth, xywh float64; visible: (T,) bool or None.

    dataset: `lasot`; `uav` (truth NaN means absent, and such frames count as hits in precision);
    `otb` or any other set of that shape. A longer prediction is cut; a shorter one is an error for
    `lasot` and filled with zero boxes for the others.
    Raises UserError for what cannot be scored: NaN or negative sizes, NaN truth, too few boxes.
    """
    if protocol not in PROTOCOLS:
        raise UserError(f'tracking protocol {protocol!r} is not one of {", ".join(PROTOCOLS)}')
    truth = np.array(truth, dtype=np.float64)
    predicted = _prepare(np.array(predicted, dtype=np.float64), truth, protocol, dataset)
    must_be_positive = truth[:, 2:] if protocol == 'ostrack' else truth
    valid = (must_be_positive > 0).all(axis=1)
    absent = np.zeros(len(truth), bool) if visible is None else ~np.asarray(visible, dtype=bool)
    valid &= ~absent

    iou = _overlap(predicted, truth)
    offset = (predicted[:, :2] + (predicted[:, 2:] - 1) / 2) - (
        truth[:, :2] + (truth[:, 2:] - 1) / 2
    )
    centre_error = np.sqrt((offset**2).sum(axis=1))
    with np.errstate(divide='ignore', invalid='ignore'):
        norm_error = np.sqrt(((offset / truth[:, 2:]) ** 2).sum(axis=1))

    iou[~valid] = -1
    centre_error[~valid] = -1 if dataset == 'uav' or protocol == 'lasot_matlab' else np.inf
    norm_error[~valid] = -1
    if dataset == 'lasot':
        centre_error[absent] = norm_error[absent] = np.inf
    return FrameErrors(iou, centre_error, norm_error, valid)


def sequence_curves(errors: FrameErrors, exclude_invalid: bool = False) -> SequenceCurves:
    """The three curves of a sequence; with `exclude_invalid` as shares of the valid frames only."""
    frames = errors.valid.sum() if exclude_invalid else len(errors.valid)
    frames = max(int(frames), 1)
    overlap = errors.iou[errors.valid]
    return SequenceCurves(
        success=(errors.iou[:, None] > SUCCESS_THRESHOLDS).sum(axis=0) / frames,
        precision=(errors.centre_error[:, None] <= PRECISION_THRESHOLDS).sum(axis=0) / frames,
        norm_precision=(errors.norm_error[:, None] <= NORM_PRECISION_THRESHOLDS).sum(axis=0)
        / frames,
        mean_overlap=float(overlap.mean()) if len(overlap) else 0.0,
    )


def dataset_scores(curves: list[SequenceCurves], protocol: str = 'ostrack') -> dict[str, float]:
    """Mean over sequences, each of weight 1: AUC, P and P_norm in percent."""
    success = _mean_curve([curve.success for curve in curves], protocol)
    precision = _mean_curve([curve.precision for curve in curves], protocol)
    norm_precision = _mean_curve([curve.norm_precision for curve in curves], protocol)
    return {
        'AUC': 100 * float(success.mean()),
        'P': 100 * float(precision[PRECISION_AT]),
        'P_norm': 100 * float(norm_precision[NORM_PRECISION_AT]),
    }


def _prepare(predicted: np.ndarray, truth: np.ndarray, protocol: str, dataset: str) -> np.ndarray:
    """Checked predictions, as many as there are true boxes, gaps filled from the frame before."""
    if dataset != 'uav' and np.isnan(truth).any():
        raise UserError('the truth holds NaN; only `uav` marks absent frames so')
    if protocol != 'lasot_matlab':
        if np.isnan(predicted).any():
            raise UserError('the predicted boxes hold NaN; the tracker diverged')
        if (predicted[:, 2:] < 0).any():
            raise UserError('a predicted box has negative width or height; expected x,y,w,h')
    missing = len(truth) - len(predicted)
    if missing > 0 and dataset == 'lasot':
        raise UserError(
            f'{len(predicted)} predicted boxes for {len(truth)} frames; track the whole sequence'
        )
    predicted = np.concatenate([predicted[: len(truth)], np.zeros((max(missing, 0), 4))])
    unusable = np.isnan(predicted).any(axis=1) | (predicted[:, 2:] <= 0).any(axis=1)
    for index in np.flatnonzero(unusable & ~np.isnan(truth).any(axis=1)):
        if index:
            predicted[index] = predicted[index - 1]
    predicted[0] = truth[0]
    return predicted


def _overlap(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """IoU of pairs of xywh boxes, (T, 4) each -> (T,); 0 for two boxes without area."""
    upper = np.maximum(first[:, :2], second[:, :2])
    lower = np.minimum(first[:, :2] + first[:, 2:], second[:, :2] + second[:, 2:])
    shared = np.maximum(lower - upper, 0).prod(axis=1)
    union = first[:, 2:].prod(axis=1) + second[:, 2:].prod(axis=1) - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def _mean_curve(curves: list[np.ndarray], protocol: str) -> np.ndarray:
    rows = np.stack(curves)
    if protocol == 'lasot_matlab':
        scoring = rows.sum(axis=1) > 0
        rows = rows[scoring] if scoring.any() else rows
    return rows.mean(axis=0)
