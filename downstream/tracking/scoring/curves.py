"""From frames to LaSOT's scores: success (AUC), precision (P), normalised precision (P_norm).

    success         share of frames with IoU > 0, 0.05 .. 1      AUC: the mean of the 21 values
    precision       share of frames with e <= 0, 1 .. 50 px      P: the value at 20 px
    norm_precision  share of frames with n <= 0, 0.01 .. 0.50    P_norm: the value at 0.20

Shares are of ALL annotated frames. A data set's curve is the mean of its sequences', each of weight
1 however long it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from downstream.tracking.scoring.frame_errors import FrameErrors
from downstream.tracking.scoring.mmtracking import MMTRACKING_THRESHOLDS
from downstream.tracking.scoring.rules import MMTRACKING, RULES
from downstream.tracking.units import PRECISION_AT, TrackingUnits
from mim_backbones.errors import UserError

# The last bit decides ties. The evaluators take torch.arange(0, 1.05, 0.05), which adds
# multiples of the step in groups of four: 0.15000000000000002, 0.7500000000000001.
_STEP = np.arange(21)
SUCCESS_THRESHOLDS = _STEP // 4 * 4 * 0.05 + _STEP % 4 * 0.05
PRECISION_THRESHOLDS = np.arange(51) / 1.0
NORM_PRECISION_THRESHOLDS = np.arange(51) / 100


@dataclass(frozen=True)
class Curves:
    """Shares of frames: success (21,), precision (51,), norm_precision (51,)."""

    success: NDArray
    precision: NDArray
    norm_precision: NDArray


KINDS = tuple(field.name for field in fields(Curves))


def sequence_curves(errors: FrameErrors, exclude_invalid: bool = False) -> Curves:
    """The three curves of a sequence.

    exclude_invalid: shares of the valid frames; hits are still counted in all of them.
    Raises UserError when no frame is left to count.
    """
    frames = int(errors.valid.sum()) if exclude_invalid else len(errors.valid)
    if not frames:
        raise UserError('no frame of the sequence is valid; score it with the invalid frames')
    overlaps = MMTRACKING_THRESHOLDS if errors.protocol in MMTRACKING else SUCCESS_THRESHOLDS
    return Curves(
        success=(errors.iou[:, None] > overlaps).sum(axis=0) / frames,
        precision=(errors.centre_error[:, None] <= PRECISION_THRESHOLDS).sum(axis=0) / frames,
        norm_precision=(errors.norm_error[:, None] <= NORM_PRECISION_THRESHOLDS).sum(axis=0)
        / frames,
    )


def average_overlap(errors: FrameErrors) -> float:
    """Mean IoU of a sequence's valid frames; nan without one."""
    return float(errors.iou[errors.valid].mean()) if errors.valid.any() else float('nan')


def mean_curves(curves: Sequence[Curves], protocol: str = 'ostrack') -> Curves:
    """The curves of a data set; `lasot_matlab` leaves out sequences that never score."""
    means = []
    for kind in KINDS:
        rows = _counted(np.stack([getattr(one, kind) for one in curves]), protocol)
        means.append(np.nanmean(rows, axis=0))
    return Curves(*means)


def scores_of(curves: Curves) -> dict[str, float]:
    """AUC, P and P_norm in percent."""
    return {
        'AUC': 100 * float(curves.success.mean()),
        'P': 100 * float(curves.precision[PRECISION_AT]),
        'P_norm': 100 * float(curves.norm_precision[PRECISION_AT]),
    }


def dataset_scores(curves: Sequence[Curves], protocol: str = 'ostrack') -> dict[str, float]:
    """AUC, P and P_norm in percent, of the mean curves."""
    return scores_of(mean_curves(curves, protocol))


def units_of(
    names: Sequence[str], curves: Sequence[Curves], protocol: str = 'ostrack'
) -> TrackingUnits:
    """The curves of each sequence, for intervals; NaN where one leaves the mean."""
    stacked = (np.stack([getattr(one, kind) for one in curves]) for kind in KINDS)
    return TrackingUnits(names, *(_counted(rows, protocol) for rows in stacked))


def _counted(rows: NDArray, protocol: str) -> NDArray:
    """(U, N) curves; NaN those that the protocol drops, unless it were all of them."""
    if protocol not in RULES or not RULES[protocol].drops_zeros:
        return rows
    scoring = rows.sum(axis=1, keepdims=True) > 0
    return np.where(scoring, rows, np.nan) if scoring.any() else rows
