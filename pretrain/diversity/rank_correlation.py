"""Spearman's rank correlation of a few pairs, and how much it can be trusted.

    z = artanh(r),  var(z) = (1 + r^2 / 2) / (n - 3)        n: pairs, from 4 on

paper: Bonett & Wright, Psychometrika 65 (2000), 23-28

Of few pairs r takes few values: between two neighbours lie 12 / (n (n^2 - 1)), half of which is
added to each side before the transformation. Without it four pairs in the same order would have
r = 1 with an interval of no width, though one of 24 orders is that by chance.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import atanh, sqrt, tanh

from scipy import stats

FEWEST = 4
QUANTILE = float(stats.norm.ppf(0.975))


@dataclass(frozen=True)
class RankCorrelation:
    """r with its 95 % interval, of `pairs` pairs taken as a sample of all there could be."""

    value: float
    low: float
    high: float
    pairs: int


def rank_correlation(x: Sequence[float], y: Sequence[float]) -> RankCorrelation | None:
    """None of fewer than four pairs, or where all x or all y are alike."""
    pairs = len(x)
    if pairs < FEWEST or len(set(x)) < 2 or len(set(y)) < 2:
        return None
    value = float(stats.spearmanr(x, y).statistic)
    half = 6 / (pairs * (pairs**2 - 1))
    low, high = (bound(value + side * half, side, pairs) for side in (-1, 1))
    return RankCorrelation(value, low, high, pairs)


def bound(value: float, side: int, pairs: int) -> float:
    """The lower (side -1) or upper (side 1) end, at most 1 in size."""
    if abs(value) >= 1:
        return float(side)
    reach = QUANTILE * sqrt((1 + value**2 / 2) / (pairs - 3))
    return tanh(atanh(value) + side * reach)
