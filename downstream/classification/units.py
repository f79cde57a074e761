"""Accuracies and calibration from each picture's rank, class and confidence.

top1, top5    share of pictures whose class is among the first
class_mean    mean over the classes of top-1, where classes have different numbers of pictures:
              what Pets, Flowers and Aircraft are scored by
ece           sum over 15 bins of confidence of  n_b / n |accuracy_b - confidence_b|
              (Guo et al., arXiv 1706.04599, section 2; confidence: the largest probability)
"""

from collections.abc import Mapping, Sequence

import numpy as np

from downstream.results.units import Array, UnitScores, check_weights

TOP = {'top1': 1, 'top5': 5}
BINS = 15  # of equal width; each holds its upper end


class ClassificationUnits(UnitScores):
    """What the metrics need of U pictures; those without its arrays are left out.

    Args:
        ranks: (U,) classes that score at least as high as the true one, itself left out.
        labels: (U,) true classes.
        confidence: (U,) in [0, 1], the probability of the likeliest class.
    """

    kind = 'classification'

    def __init__(
        self,
        names: Sequence[str],
        ranks: Array,
        labels: Array | None = None,
        confidence: Array | None = None,
    ) -> None:
        super().__init__(names)
        self.ranks = np.asarray(ranks, np.int32)
        self.labels = None if labels is None else np.asarray(labels, np.int32)
        self.confidence = None if confidence is None else np.asarray(confidence, np.float32)
        for key, value in self.arrays().items():
            if value.shape != (len(self),):
                raise ValueError(f'ClassificationUnits: {len(self)} pictures, {value.shape} {key}')
        counts = np.unique([] if labels is None else labels, return_counts=True)[1]
        uneven = len(np.unique(counts)) > 1
        self.metrics = (*TOP, *(['class_mean'] if uneven else []))
        self.metrics += () if confidence is None else ('ece',)

    def score(self, weights: Array) -> dict[str, Array]:
        weights = check_weights(weights, len(self)).astype(np.float64)
        total = weights.sum(1)
        found = {name: _share(weights @ (self.ranks < top), total) for name, top in TOP.items()}
        if 'class_mean' in self.metrics:
            found['class_mean'] = self._class_mean(weights)
        if self.confidence is not None:
            gap = np.zeros((len(self), BINS))
            gap[np.arange(len(self)), self._bins()] = (self.ranks < 1) - self.confidence
            found['ece'] = _share(np.abs(weights @ gap).sum(1), total)
        return found

    def reliability(self) -> dict[str, dict[str, float]]:
        """The bins that hold pictures: how many, their mean confidence and top-1 in percent."""
        if self.confidence is None:
            return {}
        bins, right = self._bins(), self.ranks < 1
        return {
            f'{number / BINS:.3f}-{(number + 1) / BINS:.3f}': {
                'pictures': int((bins == number).sum()),
                'confidence': round(100 * float(self.confidence[bins == number].mean()), 3),
                'top-1': round(100 * float(right[bins == number].mean()), 3),
            }
            for number in np.unique(bins)
        }

    def _bins(self) -> Array:
        assert self.confidence is not None
        return np.clip(np.ceil(self.confidence * BINS) - 1, 0, BINS - 1).astype(np.int64)

    def _class_mean(self, weights: Array) -> Array:
        assert self.labels is not None
        right = self.ranks < 1
        means = np.empty(len(weights))
        for row, each in enumerate(weights):
            all_of = np.bincount(self.labels, each)
            there = all_of > 0
            shares = np.bincount(self.labels, each * right)[there] / all_of[there]
            means[row] = 100 * shares.mean() if len(shares) else np.nan
        return means

    def arrays(self) -> dict[str, Array]:
        found = {'ranks': self.ranks, 'labels': self.labels, 'confidence': self.confidence}
        return {key: value for key, value in found.items() if value is not None}

    @classmethod
    def from_arrays(
        cls, names: Sequence[str], arrays: Mapping[str, Array]
    ) -> 'ClassificationUnits':
        return cls(names, arrays['ranks'], arrays.get('labels'), arrays.get('confidence'))


def _share(part: Array, total: Array) -> Array:
    """In percent; NaN of nothing."""
    return 100 * np.divide(part, total, np.full(len(total), np.nan), where=total > 0)
