"""Does a tracker know when its target is gone? Its confidence against the data set's absence flags.

A frame is reported present when its confidence reaches a threshold:

    precision   of the frames reported present, the share in which the target is there
    recall      of the frames in which it is there, the share reported present
    F1          their harmonic mean; the best threshold is the one of the highest

and the confidence is calibrated when of the frames with confidence c a share c has the target in
view (arXiv 1706.04599, section 2: expected calibration error over bins of equal width).

The first frame is given: leave it out. Tables and figure of a whole set: confidence.py.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from mim_backbones.errors import UserError

BINS = 10


@dataclass(frozen=True)
class Presence:
    """At one threshold; nan where no frame is reported present, or none is."""

    threshold: float
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class Calibration:
    """Per bin (BINS,): mean confidence, share present (nan where it is empty), and count; over all:

    ece: mean distance of the two, weighted by count. brier: mean squared error of the confidence.
    """

    confidence: NDArray
    present: NDArray
    count: NDArray
    ece: float
    brier: float


def presence_at(confidence: NDArray, present: NDArray, threshold: float) -> Presence:
    """confidence (T,) in any range, present (T,) bool."""
    confidence, present = _checked(confidence, present)
    reported = confidence >= threshold
    right = float((reported & present).sum())
    with np.errstate(invalid='ignore'):
        precision, recall = (np.float64(right) / flags.sum() for flags in (reported, present))
        f1 = np.float64(2 * right) / (reported.sum() + present.sum())
    return Presence(float(threshold), float(precision), float(recall), float(f1))


def presence_curve(confidence: NDArray, present: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """Every threshold that changes something, falling, with its precision and recall: (K,) each.

    Raises UserError when the target is in no frame: there is nothing to recall.
    """
    confidence, present = _checked(confidence, present)
    if not present.any():
        raise UserError('the target is in no frame; presence needs frames with and without it')
    order = np.argsort(-confidence, kind='stable')
    ranked = confidence[order]
    last = np.flatnonzero(np.append(np.diff(ranked) != 0, True))  # of frames with one confidence
    right = np.cumsum(present[order])[last]
    return ranked[last], right / (last + 1), right / present.sum()


def best_presence(confidence: NDArray, present: NDArray) -> Presence:
    """At the threshold of the highest F1, the strictest of several."""
    thresholds, precision, recall = presence_curve(confidence, present)
    with np.errstate(invalid='ignore'):
        f1 = np.nan_to_num(2 * precision * recall / (precision + recall))
    return presence_at(confidence, present, thresholds[f1.argmax()])


def ordering(confidence: NDArray, present: NDArray) -> float:
    """Of pairs of a frame with and one without, the share in which the first has more confidence.

    Equal ones count half: the area below the ROC curve. nan without frames of both kinds.
    """
    confidence, present = _checked(confidence, present)
    hits, misses = int(present.sum()), int((~present).sum())
    if not hits or not misses:
        return float('nan')
    rank = rankdata(confidence)[present].sum()
    return float((rank - hits * (hits + 1) / 2) / (hits * misses))


def calibration(confidence: NDArray, present: NDArray, bins: int = BINS) -> Calibration:
    """confidence (T,) in [0, 1], as the probability that the target is there; present (T,) bool.

    Bins are of equal width, closed to the left but for the last.
    Raises UserError for what is no probability.
    """
    confidence, present = _checked(confidence, present)
    if ((confidence < 0) | (confidence > 1)).any():
        raise UserError('a confidence is not within 0 and 1; calibration needs probabilities')
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    count = np.bincount(place, minlength=bins)
    with np.errstate(invalid='ignore'):
        mean = np.bincount(place, confidence, bins) / count
        share = np.bincount(place, present, bins) / count
    filled = count > 0
    ece = float((np.abs(mean - share)[filled] * count[filled]).sum() / count.sum())
    return Calibration(mean, share, count, ece, float(((confidence - present) ** 2).mean()))


def _checked(confidence: NDArray, present: NDArray) -> tuple[NDArray, NDArray]:
    confidence, present = np.asarray(confidence, np.float64), np.asarray(present, bool)
    if not len(confidence) or confidence.shape != present.shape:
        raise UserError(
            f'{confidence.size} confidences for {present.size} frames; give one for each'
        )
    if not np.isfinite(confidence).all():
        raise UserError('a confidence is not finite; the tracker diverged')
    return confidence, present
