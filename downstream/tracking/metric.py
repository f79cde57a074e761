"""LaSOT's scores, exactly: success (AUC), precision (P) and normalised precision (P_norm).

Plain functions, and the mmengine metric for the Runner's test loop.

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

import io
from collections.abc import Sequence as Many
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mmengine.evaluator import BaseMetric

from downstream.registry import METRICS
from downstream.tracking.tracker import Track
from downstream.tracking.units import PRECISION_AT, TrackingUnits
from mim_backbones.console.atomic_file import write_bytes_atomically
from mim_backbones.errors import UserError

PROTOCOLS = ('ostrack', 'pytracking', 'lasot_matlab')

# The last bit decides ties. The evaluators take torch.arange(0, 1.05, 0.05), which adds
# multiples of the step in groups of four: 0.15000000000000002, 0.7500000000000001.
_STEP = np.arange(21)
SUCCESS_THRESHOLDS = _STEP // 4 * 4 * 0.05 + _STEP % 4 * 0.05
PRECISION_THRESHOLDS = np.arange(51) / 1.0
NORM_PRECISION_THRESHOLDS = np.arange(51) / 100


@dataclass(frozen=True)
class FrameErrors:
    """Per frame: iou (T,), centre_error (T,) px, norm_error (T,), valid (T,) bool."""

    iou: np.ndarray
    centre_error: np.ndarray
    norm_error: np.ndarray
    valid: np.ndarray


@dataclass(frozen=True)
class SequenceCurves:
    """Shares of frames: success (21,), precision (51,), norm_precision (51,)."""

    success: np.ndarray
    precision: np.ndarray
    norm_precision: np.ndarray


def frame_errors(
    predicted: np.ndarray,
    truth: np.ndarray,
    visible: np.ndarray | None = None,
    protocol: str = 'ostrack',
) -> FrameErrors:
    """Compare (T, 4) predictions with (T, 4) truth, xywh float64; visible: (T,) bool or None.

    A longer prediction is cut.
    Raises UserError for what cannot be scored: NaN or negative sizes, NaN truth, too few boxes.
    """
    if protocol not in PROTOCOLS:
        raise UserError(f'tracking protocol {protocol!r} is not one of {", ".join(PROTOCOLS)}')
    truth = np.array(truth, dtype=np.float64)
    predicted = _prepare(np.array(predicted, dtype=np.float64), truth, protocol)
    must_be_positive = truth[:, 2:] if protocol == 'ostrack' else truth
    valid = (must_be_positive > 0).all(axis=1)
    absent = np.zeros(len(truth), bool) if visible is None else ~np.asarray(visible, dtype=bool)
    valid &= ~absent

    iou = _overlap(predicted, truth)
    found, wanted = (boxes[:, :2] + 0.5 * (boxes[:, 2:] - 1) for boxes in (predicted, truth))
    centre_error = np.sqrt(((found - wanted) ** 2).sum(axis=1))
    with np.errstate(divide='ignore', invalid='ignore'):
        # Both are divided before one is taken from the other, as the evaluators do: the last bit
        # decides whether a frame at exactly 0.20 counts.
        offset = found / truth[:, 2:] - wanted / truth[:, 2:]
        norm_error = np.sqrt((offset**2).sum(axis=1))

    iou[~valid] = -1
    centre_error[~valid] = -1 if protocol == 'lasot_matlab' else np.inf
    norm_error[~valid] = -1
    centre_error[absent] = norm_error[absent] = np.inf
    return FrameErrors(iou, centre_error, norm_error, valid)


def sequence_curves(errors: FrameErrors) -> SequenceCurves:
    """The three curves of a sequence, as shares of all its frames."""
    frames = len(errors.valid)
    return SequenceCurves(
        success=(errors.iou[:, None] > SUCCESS_THRESHOLDS).sum(axis=0) / frames,
        precision=(errors.centre_error[:, None] <= PRECISION_THRESHOLDS).sum(axis=0) / frames,
        norm_precision=(errors.norm_error[:, None] <= NORM_PRECISION_THRESHOLDS).sum(axis=0)
        / frames,
    )


def dataset_scores(curves: list[SequenceCurves], protocol: str = 'ostrack') -> dict[str, float]:
    """Mean over sequences, each of weight 1: AUC, P and P_norm in percent."""
    success = _mean_curve([curve.success for curve in curves], protocol)
    precision = _mean_curve([curve.precision for curve in curves], protocol)
    norm_precision = _mean_curve([curve.norm_precision for curve in curves], protocol)
    return {
        'AUC': 100 * float(success.mean()),
        'P': 100 * float(precision[PRECISION_AT]),
        'P_norm': 100 * float(norm_precision[PRECISION_AT]),
    }


def write_boxes(path: str | Path, boxes: np.ndarray) -> None:
    """Write (T, 4) xywh boxes, tab-separated as pytracking's; makes the folder.

    Three decimals: truncation to whole pixels, as pytracking and OSTrack do, alone moves the score
    of a sequence by up to a point.

    Raises UserError when the file cannot be written.
    """
    text = io.StringIO()
    np.savetxt(text, boxes, fmt='%.3f', delimiter='\t')
    write_bytes_atomically(Path(path), text.getvalue().encode())


@METRICS.register_module()
class LasotMetric(BaseMetric):
    """AUC, P and P_norm in percent, over the sequences of a LasotSequences loader.

    After `evaluate`, `units` holds the curves of each sequence, `tracks` what was predicted.

    Args:
        protocol: which evaluator's rules, see the module.
        results_dir: where to write one result file per sequence (pytracking's layout).
    """

    def __init__(
        self,
        protocol: str = 'ostrack',
        results_dir: str | None = None,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device, prefix)
        if protocol not in PROTOCOLS:
            raise UserError(f'LasotMetric: protocol={protocol!r}; known: {", ".join(PROTOCOLS)}')
        self.protocol = protocol
        self.results_dir = results_dir
        self.units: TrackingUnits | None = None
        self.tracks: dict[str, Track] = {}

    def process(self, data_batch: dict, data_samples: Many[Track]) -> None:
        for sequence, track in zip(data_batch['inputs'], data_samples):
            errors = frame_errors(track.boxes, sequence.boxes, sequence.visible, self.protocol)
            self.results.append((sequence_curves(errors), track))
            if self.results_dir is not None:
                write_boxes(Path(self.results_dir, f'{track.name}.txt'), track.boxes)

    def compute_metrics(self, results: list[tuple[SequenceCurves, Track]]) -> dict[str, float]:
        curves = [curve for curve, _ in results]
        self.tracks = {track.name: track for _, track in results}
        self.units = TrackingUnits(
            list(self.tracks),
            np.stack([curve.success for curve in curves]),
            np.stack([curve.precision for curve in curves]),
            np.stack([curve.norm_precision for curve in curves]),
        )
        return dataset_scores(curves, self.protocol)


def _prepare(predicted: np.ndarray, truth: np.ndarray, protocol: str) -> np.ndarray:
    """Checked predictions, as many as there are true boxes, gaps filled from the frame before."""
    if np.isnan(truth).any():
        raise UserError('the truth holds NaN; absent frames are marked by the flag files')
    if protocol != 'lasot_matlab':
        if np.isnan(predicted).any():
            raise UserError('the predicted boxes hold NaN; the tracker diverged')
        if (predicted[:, 2:] < 0).any():
            raise UserError('a predicted box has negative width or height; expected x,y,w,h')
    if len(predicted) < len(truth):
        raise UserError(
            f'{len(predicted)} predicted boxes for {len(truth)} frames; track the whole sequence'
        )
    predicted = predicted[: len(truth)]
    unusable = np.isnan(predicted).any(axis=1) | (predicted[:, 2:] <= 0).any(axis=1)
    for index in np.flatnonzero(unusable):
        if index:
            predicted[index] = predicted[index - 1]
    predicted[0] = truth[0]
    return predicted


def _overlap(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """IoU of pairs of xywh boxes, (T, 4) each -> (T,); 0 for two boxes without area."""
    upper = np.maximum(first[:, :2], second[:, :2])
    # The last pixel and back, as the evaluators do: it cancels but for the last bit.
    lower = np.minimum(first[:, :2] + first[:, 2:] - 1, second[:, :2] + second[:, 2:] - 1)
    shared = np.maximum(lower - upper + 1, 0).prod(axis=1)
    union = first[:, 2:].prod(axis=1) + second[:, 2:].prod(axis=1) - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def _mean_curve(curves: list[np.ndarray], protocol: str) -> np.ndarray:
    rows = np.stack(curves)
    if protocol == 'lasot_matlab':
        scoring = rows.sum(axis=1) > 0
        rows = rows[scoring] if scoring.any() else rows
    return rows.mean(axis=0)
