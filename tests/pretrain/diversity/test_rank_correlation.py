"""Against scipy, by hand, and by simulation: the interval holds what it says."""

from math import asin, atanh, pi, sqrt, tanh

import numpy as np
import pytest
from scipy import stats

from pretrain.diversity.rank_correlation import rank_correlation


def test_by_hand() -> None:
    # Ranks 1 2 3 4 5 against 2 1 4 3 5: d^2 sums to 4, r = 1 - 6 * 4 / (5 * 24) = 0.8.
    found = rank_correlation([1, 2, 3, 4, 50], [20, 10, 40, 30, 50])
    assert found is not None and found.pairs == 5
    assert found.value == pytest.approx(0.8)
    # Half of the step 12 / 120 on each side; 1.96 sqrt((1 + r^2 / 2) / 2) beside artanh.
    reach = 1.959964 * sqrt((1 + 0.75**2 / 2) / 2)
    assert found.low == pytest.approx(tanh(atanh(0.75) - reach), abs=1e-6)
    assert found.high == pytest.approx(tanh(atanh(0.85) + 1.959964 * sqrt((1 + 0.85**2 / 2) / 2)))


def test_too_few_or_all_alike_say_nothing() -> None:
    assert rank_correlation([1, 2, 3], [1, 2, 3]) is None
    assert rank_correlation([1, 1, 1, 1], [1, 2, 3, 4]) is None
    assert rank_correlation([1, 2, 3, 4], [5, 5, 5, 5]) is None


@pytest.mark.parametrize(('pairs', 'sure'), [(4, False), (5, True), (8, True)])
def test_a_perfect_order_is_as_sure_as_its_exact_test(pairs: int, sure: bool) -> None:
    """Of n! orders two are perfect: p = 2 / n!, 0.083 of four pairs and 0.017 of five."""
    for sign in (1, -1):
        found = rank_correlation(range(pairs), [sign * i for i in range(pairs)])
        assert found is not None and found.value == pytest.approx(sign)
        assert (found.low > 0 or found.high < 0) == sure
        assert (found.high if sign > 0 else found.low) == sign


@pytest.mark.parametrize('pairs', [4, 5, 6, 10])
@pytest.mark.parametrize('rho', [0.0, 0.6, 0.9])
def test_the_interval_covers_the_truth(pairs: int, rho: float) -> None:
    """Of pairs from a bivariate normal, whose Spearman correlation is 6 / pi asin(rho / 2)."""
    rng, truth, held = np.random.default_rng(0), 6 / pi * asin(rho / 2), 0
    for _ in range(400):
        x = rng.standard_normal(pairs)
        y = rho * x + sqrt(1 - rho**2) * rng.standard_normal(pairs)
        found = rank_correlation(x.tolist(), y.tolist())
        assert found is not None
        assert found.value == pytest.approx(stats.spearmanr(x, y).statistic)
        held += found.low <= truth <= found.high
    assert held / 400 > 0.93
