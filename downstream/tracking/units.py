"""AUC, P and P_norm from per-sequence curves, in LaSOT's one-pass evaluation.

A curve is the fraction of a sequence's frames that succeed at each threshold:
    success          overlap  > 0, 0.05, ..., 1        21 values    AUC: their mean
    precision        centre error <= 0, 1, ..., 50 px  51 values    P: the value at 20 px
    norm_precision   error / box  <= 0, 0.01, ..., 0.5 51 values    P_norm: the value at 0.20
A data set's score is the mean over sequences, each with weight 1 however long it is. A curve of NaN
is left out of it (protocol `lasot_matlab`, scoring/rules.py).
"""

from collections.abc import Mapping, Sequence

import numpy as np

from downstream.results.units import Array, UnitScores, check_weights

LENGTHS = {'success': 21, 'precision': 51, 'norm_precision': 51}
PRECISION_AT = 20  # index of 20 px and of 0.20


class TrackingUnits(UnitScores):
    """success (U, 21), precision (U, 51), norm_precision (U, 51): fractions in [0, 1] or NaN."""

    kind = 'tracking'
    metrics = ('AUC', 'P', 'P_norm')

    def __init__(
        self, names: Sequence[str], success: Array, precision: Array, norm_precision: Array
    ) -> None:
        super().__init__(names)
        self.success = np.asarray(success, np.float32)
        self.precision = np.asarray(precision, np.float32)
        self.norm_precision = np.asarray(norm_precision, np.float32)
        for name, curves in self.arrays().items():
            if curves.shape != (len(self), LENGTHS[name]):
                raise ValueError(
                    f'TrackingUnits: {name} is {curves.shape}, '
                    f'expected {(len(self), LENGTHS[name])}'
                )

    def score(self, weights: Array) -> dict[str, Array]:
        weights = check_weights(weights, len(self)).astype(np.float64)
        per_sequence = np.stack(
            [
                self.success.mean(1, dtype=np.float64),
                self.precision[:, PRECISION_AT],
                self.norm_precision[:, PRECISION_AT],
            ],
            axis=1,
        )  # (U, 3)
        counted = ~np.isnan(per_sequence)
        total = weights @ counted
        empty = np.full((len(weights), len(self.metrics)), np.nan)
        sums = weights @ np.where(counted, per_sequence, 0)
        means = np.divide(sums, total, out=empty, where=total > 0)
        return dict(zip(self.metrics, 100 * means.T))

    def arrays(self) -> dict[str, Array]:
        return {
            'success': self.success,
            'precision': self.precision,
            'norm_precision': self.norm_precision,
        }

    @classmethod
    def from_arrays(cls, names: Sequence[str], arrays: Mapping[str, Array]) -> 'TrackingUnits':
        return cls(names, arrays['success'], arrays['precision'], arrays['norm_precision'])
