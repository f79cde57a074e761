"""mIoU, mAcc and aAcc from per-image pixel counts; the same averaging as mmseg's IoUMetric.

    IoU_c = I_c / (P_c + L_c - I_c)     acc_c = I_c / L_c     aAcc = sum_c I_c / sum_c L_c

I, P, L: pixels where prediction and label agree on c, predicted as c, labelled c, each summed over
images first. Means run over the classes whose denominator is not 0.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from downstream.results.units import Array, UnitScores, check_weights


class SegmentationUnits(UnitScores):
    """intersect, predicted, labelled: (U, C) pixel counts per image and class (metric.py)."""

    kind = 'segmentation'
    metrics = ('mIoU', 'mAcc', 'aAcc')

    def __init__(
        self, names: Sequence[str], intersect: Array, predicted: Array, labelled: Array
    ) -> None:
        super().__init__(names)
        self.intersect = np.asarray(intersect, np.int64)
        self.predicted = np.asarray(predicted, np.int64)
        self.labelled = np.asarray(labelled, np.int64)
        shapes = {counts.shape for counts in self.arrays().values()}
        if len(shapes) != 1 or self.intersect.ndim != 2 or len(self.intersect) != len(self):
            raise ValueError(f'SegmentationUnits: {len(self)} images but counts are {shapes}')

    def score(self, weights: Array) -> dict[str, Array]:
        # float64 holds every integer up to 2**53: the sums are exact, and the product runs in BLAS
        weights = check_weights(weights, len(self)).astype(np.float64)
        intersect, predicted, labelled = (weights @ counts for counts in self.arrays().values())
        return {
            'mIoU': 100 * _mean_ratio(intersect, predicted + labelled - intersect),
            'mAcc': 100 * _mean_ratio(intersect, labelled),
            'aAcc': 100 * _mean_ratio(intersect.sum(1)[:, None], labelled.sum(1)[:, None]),
        }

    def arrays(self) -> dict[str, Array]:
        return {
            'intersect': self.intersect,
            'predicted': self.predicted,
            'labelled': self.labelled,
        }

    @classmethod
    def from_arrays(cls, names: Sequence[str], arrays: Mapping[str, Array]) -> 'SegmentationUnits':
        return cls(names, arrays['intersect'], arrays['predicted'], arrays['labelled'])


def _mean_ratio(part: Array, whole: Array) -> Array:
    """(R, C), (R, C) -> mean over c of part / whole where whole > 0, nan where there is none."""
    present = whole > 0
    ratio = np.divide(part, whole, out=np.zeros_like(part), where=present)
    classes = present.sum(1)
    empty = np.full(len(part), np.nan)
    return np.divide(ratio.sum(1), classes, out=empty, where=classes > 0)
