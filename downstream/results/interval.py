"""Paired bootstrap over units: how sure a score, or the difference of two, is.

    paper: Efron & Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13 (percentile)

Units (images, sequences) are drawn with replacement and the metric is recomputed on each draw; two
systems are scored on the SAME draws, so what makes an image hard for both cancels in the
difference. The interval is the central 95 % of the draws.

Hierarchy. Several seeds of a system enter as a list: a draw picks units, every seed is scored on
it, and the seeds' scores are averaged. Seeds are not resampled: two or three are too few to draw
from. The interval therefore speaks of other test images for the systems trained here; the spread
over seeds is a second number, reported beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from downstream.results.units import Array, UnitScores

LEVEL = 95.0  # percent
RESAMPLES = 2000

System = UnitScores | Sequence[UnitScores]  # one training, or its repetitions with other seeds


@dataclass(frozen=True)
class Interval:
    """A score in percent: on the data as they are (mean over seeds), and its 95 % interval."""

    mean: float
    low: float
    high: float
    resamples: int


@dataclass(frozen=True)
class Difference(Interval):
    """Score of a minus score of b, in points. p_value: two-sided, of the difference being 0."""

    p_value: float

    @property
    def clear_of_zero(self) -> bool:
        return self.low > 0 or self.high < 0


def draw_weights(units: int, resamples: int, seed: int) -> Array:
    """(resamples, units) int32: how often each unit occurs when `units` are drawn of them."""
    drawn = np.random.default_rng(seed).integers(0, units, (resamples, units))
    drawn += np.arange(resamples)[:, None] * units
    counts = np.bincount(drawn.ravel(), minlength=resamples * units)
    return counts.reshape(resamples, units).astype(np.int32)


def resampled_scores(system: System, resamples: int = RESAMPLES, seed: int = 0) -> dict[str, Array]:
    """Each metric (1 + resamples,) in percent, seeds averaged; entry 0 is the data as they are.

    The same `seed` and number of units give the same draws, which is what pairs two systems.

    Raises:
        ValueError: the seeds were not scored on the same units.
    """
    seeds = [system] if isinstance(system, UnitScores) else list(system)
    first = seeds[0]
    for other in seeds[1:]:
        _check_paired(first, other)
    weights = np.concatenate(
        [np.ones((1, len(first)), np.int32), draw_weights(len(first), resamples, seed)]
    )
    scores = [units.score(weights) for units in seeds]
    return {name: np.mean([score[name] for score in scores], axis=0) for name in first.metrics}


def interval(system: System, metric: str, resamples: int = RESAMPLES, seed: int = 0) -> Interval:
    """The score of one system and its interval."""
    return interval_of(resampled_scores(system, resamples, seed)[metric])


def paired_difference(
    a: System, b: System, metric: str, resamples: int = RESAMPLES, seed: int = 0
) -> Difference:
    """a minus b on the same draws of the units.

    Raises:
        ValueError: a and b were not scored on the same units, in the same order.
    """
    firsts = [one if isinstance(one, UnitScores) else one[0] for one in (a, b)]
    _check_paired(*firsts)
    scores = [resampled_scores(one, resamples, seed)[metric] for one in (a, b)]
    return difference_of(*scores)


def interval_of(scores: Array) -> Interval:
    """(1 + R,) as `resampled_scores` gives them -> the score and its interval.

    Draws on which the metric is undefined (no ground truth was drawn) are left out.
    """
    low, high = _central(scores[1:])
    return Interval(float(scores[0]), low, high, len(scores) - 1)


def difference_of(a: Array, b: Array) -> Difference:
    """Two of them, on the same draws -> their difference.

    p_value = 2 (1 + #{draws on the far side of 0}) / (1 + R), at most 1: never 0, as R is finite.
    """
    difference = a - b
    draws = difference[1:][~np.isnan(difference[1:])]
    far = min(np.count_nonzero(draws <= 0), np.count_nonzero(draws >= 0))
    low, high = _central(draws)
    return Difference(
        float(difference[0]),
        low,
        high,
        len(difference) - 1,
        p_value=min(1.0, 2 * (1 + far) / (1 + len(draws))),
    )


def _central(draws: Array) -> tuple[float, float]:
    outside = (100 - LEVEL) / 2
    if np.isnan(draws).all():
        return float('nan'), float('nan')
    low, high = np.nanpercentile(draws, [outside, 100 - outside])
    return float(low), float(high)


def _check_paired(a: UnitScores, b: UnitScores) -> None:
    if a.names != b.names:
        raise ValueError(
            f'not scored on the same units ({len(a)} and {len(b)}, or another order); '
            'evaluate both on the same data'
        )
    if a.metrics != b.metrics:
        raise ValueError(f'not the same metrics: {a.metrics} and {b.metrics}')
