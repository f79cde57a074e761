"""How sure a score, or the difference of two, is: of other test units and of other trainings.

A score of procedure i (pre-training, then fine-tuning) with seed s on a test set of units u:

    y_is = m_i + a_is + b_i + c_is     a: the training, b: the test set, c: both together

Asked for is m_i, or m_i - m_j: the mean over trainings, on all units there could be. This is the
model of readers and cases in radiology, seeds for readers and units for cases:

    paper: Obuchowski & Rockette, Communications in Statistics B 24 (1995); Hillis, Statistics in
           Medicine 26 (2007), which gives the degrees of freedom

Test set. The units are halved at random, SPLITS times, and both halves scored. (y' - y'') / 2 of
complementary halves has the variance of y over test sets. Halves are the same for all systems, so
that what is hard for both cancels in a difference.

    paper: McCarthy, Review of the International Statistical Institute 37 (1969), half-samples

Why no bootstrap: it repeats images, a repeated detection ranks twice, and AP rises (7.6 with an
interval of [6.9, 8.9]). Halves repeat nothing. They also show a score's own bias, the mean of the
halves minus the score: AP of few images is above, mIoU over many classes below that of many images.
It is taken off the middle of a score's interval and, as halves give it only to a factor of two, its
square added to the variance. In paired differences it cancels; estimating it there adds but noise.

Trainings. The scores of k seeds on one test set spread by var(a) + var(c) =: s^2, the halves of
their mean by var(b) + var(c) / k. To add both counts c twice. The halves of one seed minus those of
the mean give var(c), hence

    var = V + s_i^2 / k_i + s_j^2 / k_j,   V = max(0, var_halves - c_i^2 / k_i - c_j^2 / k_j)

with Satterthwaite's degrees of freedom over V (units and splits), s_i (k_i - 1) and s_j. Seeds are
not paired across systems, though equal seeds share heads and order of data: that could only narrow
the interval, at half the degrees of freedom. With one training a side var(a) cannot be known: the
interval is of the test set alone, and carries no mark.

Coverage of 95 % intervals, simulated: test_coverage.py; the table is in docs/uncertainty.md.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from downstream.results.units import Array, UnitScores

LEVEL = 95.0  # percent
SPLITS = 200
FEWEST_UNITS = 20  # below, intervals hold the truth in 83 to 98 % instead of 95 %


@dataclass(frozen=True)
class HalfScores:
    """One training's metric in percent on the test set, and on both halves of each split (P,)."""

    whole: float
    first: Array
    second: Array
    units: int


@dataclass(frozen=True)
class Interval:
    """A score in percent, mean over trainings, with its 95 % interval.

    trainings: the fewest of a side; below two the interval is of the test units alone.
    """

    value: float
    low: float
    high: float
    units: int
    trainings: int

    @property
    def covers_training(self) -> bool:
        return self.trainings > 1


@dataclass(frozen=True)
class Difference(Interval):
    """Score of a minus score of b, in points. p_value: two-sided, of the difference being 0."""

    p_value: float

    @property
    def decides(self) -> bool:
        """Whether it may be read as above, below or neither."""
        return self.covers_training and self.units >= FEWEST_UNITS and not math.isnan(self.low)

    @property
    def clear_of_zero(self) -> bool:
        return self.decides and (self.low > 0 or self.high < 0)


def random_halves(units: int, splits: int = SPLITS, seed: int = 0) -> Array:
    """(1 + 2 splits, units) int32 weights: all units, the first halves, the second halves.

    The same number of units gives the same halves, which is what pairs two systems.
    """
    order = np.argsort(np.random.default_rng(seed).random((splits, units)), axis=1)
    first = order < units // 2
    return np.concatenate([np.ones((1, units), bool), first, ~first]).astype(np.int32)


def half_scores(units: UnitScores, splits: int = SPLITS, seed: int = 0) -> dict[str, HalfScores]:
    """Each metric of one training."""
    scores = units.score(random_halves(len(units), splits, seed))
    return {
        name: HalfScores(float(found[0]), found[1 : splits + 1], found[splits + 1 :], len(units))
        for name, found in scores.items()
    }


def interval(runs: Sequence[HalfScores], most: float = 100.0) -> Interval:
    """The score of one system, a run per training, all on the same test units.

    Args:
        most: that a score can be.
    """
    value, variance, freedom = _estimate(runs)
    levels = np.array([(run.first + run.second) / 2 - run.whole for run in runs])
    bias = levels[np.isfinite(levels)].mean() if np.isfinite(variance) else 0.0
    reach = _quantile(freedom) * math.sqrt(variance + bias**2)
    # scores are shares: what lies beyond 0 or 100 was never possible
    low, high = np.clip([value - bias - reach, value - bias + reach], 0, most)
    return Interval(value, float(low), float(high), runs[0].units, len(runs))


def difference(a: Sequence[HalfScores], b: Sequence[HalfScores]) -> Difference:
    """a minus b on the same halves of the units."""
    value, variance, freedom = _estimate(a, b)
    reach = _quantile(freedom) * math.sqrt(variance)
    if variance == 0:
        p_value = float(value == 0)
    else:
        p_value = float(2 * stats.t.sf(abs(value) / math.sqrt(variance), freedom))
    fewest = min(len(a), len(b))
    return Difference(value, value - reach, value + reach, a[0].units, fewest, p_value)


def _quantile(freedom: float) -> float:
    return float(stats.t.ppf(0.5 + LEVEL / 200, freedom))


def _estimate(*sides: Sequence[HalfScores]) -> tuple[float, float, float]:
    """Score of one side, or of the first minus the second; its variance, degrees of freedom.

    Splits with a half on which the metric is undefined (no ground truth) are left out; variance is
    nan where none is left.
    """
    units = sides[0][0].units
    whole = [np.array([run.whole for run in side]) for side in sides]
    halves = [np.stack([(run.first - run.second) / 2 for run in side]) for side in sides]  # (k, P)
    defined = np.isfinite(np.concatenate(halves)).all(0)
    halves = [side[:, defined] for side in halves]
    splits = int(defined.sum())
    value, of_mean = whole[0].mean(), halves[0].mean(0)
    if len(sides) > 1:
        value, of_mean = value - whole[1].mean(), of_mean - halves[1].mean(0)
    if units < 2 or not splits:
        return float(value), float('nan'), 1.0
    of_units = np.mean(of_mean**2)
    parts: list[float] = []
    freedoms: list[float] = []
    if all(len(side) > 1 for side in sides):
        for scores, side in zip(whole, halves):
            trainings = len(scores)
            together = np.sum((side - side.mean(0)) ** 2) / (trainings - 1) / splits
            of_units -= together / trainings
            parts.append(scores.var(ddof=1) / trainings)
            freedoms.append(trainings - 1)
    parts.append(max(0.0, of_units))
    freedoms.append(1 / (1 / (units - 1) + 1 / splits))
    variance = sum(parts)
    spread = sum(part**2 / freedom for part, freedom in zip(parts, freedoms))
    return float(value), float(variance), float(variance**2 / spread if spread else 1.0)
