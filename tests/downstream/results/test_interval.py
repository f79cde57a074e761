import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from downstream.results.interval import (
    FEWEST_UNITS,
    HalfScores,
    difference,
    half_scores,
    interval,
    random_halves,
)
from downstream.segmentation.units import SegmentationUnits
from downstream.tracking.units import TrackingUnits


def sequences(precision):
    """Tracking units whose P is the mean of `precision` (fractions)."""
    precision = np.asarray(precision, float)
    curves = np.repeat(precision[:, None], 51, axis=1)
    names = [str(n) for n in range(len(precision))]
    return TrackingUnits(names, curves[:, :21], curves, curves)


def images(seed, count=20):
    rng = np.random.default_rng(seed)
    labelled = rng.integers(1, 50, (count, 4))
    predicted = rng.integers(1, 50, (count, 4))
    agree = (np.minimum(labelled, predicted) * rng.random((count, 4))).astype(int)
    return SegmentationUnits([str(n) for n in range(count)], agree, predicted, labelled)


def halves(*units, metric='P', splits=200, seed=0):
    return [half_scores(one, splits, seed)[metric] for one in units]


def test_halves_are_halves_and_the_same_for_as_many_units():
    weights = random_halves(7, 50, seed=0)
    assert weights.shape == (101, 7)
    assert (weights[0] == 1).all()
    assert (weights[1:51].sum(1) == 3).all()
    assert (weights[1:51] + weights[51:] == 1).all()
    np.testing.assert_array_equal(weights, random_halves(7, 50, seed=0))
    assert (weights != random_halves(7, 50, seed=1)).any()


def test_units_fall_evenly_into_the_halves():
    # 20000 halvings of 6: each unit expected 10000 times, standard deviation sqrt(20000 / 4) = 71
    assert np.abs(random_halves(6, 20000)[1:20001].sum(0) - 10000).max() < 5 * 71


def test_hand_worked_interval():
    # Four sequences, P 0, 0, 100, 100: a halving has (0, 100) with chance 1/3, else (50, 50), so
    # that the variance is 50^2 / 3; that is the 100^2 / 3 of a sequence divided by four.
    found = interval(halves(sequences([0, 0, 1, 1]), splits=4000))
    freedom = 1 / (1 / 3 + 1 / 4000)
    reach = stats.t.ppf(0.975, freedom) * 50 / math.sqrt(3)
    assert found.value == 50
    assert found.low == pytest.approx(max(0, 50 - reach), abs=2)
    assert (found.units, found.trainings, found.covers_training) == (4, 1, False)


def test_a_score_is_never_outside_0_to_100():
    found = interval(halves(sequences([0, 0, 1])))
    assert (found.low, found.high) == (0, 100)


def test_hand_worked_difference_cancels_what_is_hard_for_both():
    # The same 10 points on every sequence, however different the sequences are: no uncertainty.
    hard_and_easy = np.array([0.1, 0.8, 0.3, 0.5])
    found = difference(halves(sequences(hard_and_easy + 0.1)), halves(sequences(hard_and_easy)))
    assert (found.value, found.low, found.high) == pytest.approx((10, 10, 10), abs=1e-4)
    assert found.p_value < 1e-6


def test_normal_theory_on_a_mean():
    # P is a mean, whose interval normal theory knows: 1.97 * standard deviation / sqrt(U)
    values = np.random.default_rng(0).normal(0.5, 0.1, 400).clip(0, 1)
    found = interval(halves(sequences(values), splits=2000))
    half = 1.97 * 100 * values.std(ddof=1) / np.sqrt(400)
    assert found.value - found.low == pytest.approx(half, rel=0.05)
    assert found.high - found.value == pytest.approx(half, rel=0.05)


def test_pairing_narrows_the_interval():
    rng = np.random.default_rng(0)
    hard = rng.uniform(0.1, 0.8, 80)
    a, b = (halves(sequences(hard + rng.normal(shift, 0.02, 80))) for shift in (0.03, 0))
    paired, alone = difference(a, b), interval(a)
    assert paired.low > 0
    assert paired.high - paired.low < 0.3 * (alone.high - alone.low)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.integers(0, 1000), st.integers(0, 100))
def test_swapping_the_systems_swaps_the_sign(first, second, seed):
    a, b = (halves(images(one), metric='mIoU', splits=50, seed=seed) for one in (first, second))
    forth, back = difference(a, b), difference(b, a)
    assert (forth.value, forth.low, forth.high) == pytest.approx(
        (-back.value, -back.high, -back.low)
    )
    assert forth.p_value == back.p_value


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.integers(0, 100))
def test_a_system_does_not_differ_from_itself(system, seed):
    one = halves(images(system), metric='mIoU', splits=50, seed=seed)
    found = difference(one, one)
    assert (found.value, found.low, found.high, found.p_value) == (0, 0, 0, 1)
    assert not found.clear_of_zero


def constant(whole, count=100):
    """A training whose score no choice of units changes: all its noise is of training."""
    return HalfScores(whole, np.full(200, whole), np.full(200, whole), count)


def test_hand_worked_trainings_alone_are_welchs_test():
    # Welch, Biometrika 34 (1947); the same numbers from scipy
    a, b = [41.0, 43.0, 44.5], [38.0, 40.5, 38.5]
    found = difference([constant(score) for score in a], [constant(score) for score in b])
    expected = stats.ttest_ind(a, b, equal_var=False)
    low, high = expected.confidence_interval()
    assert found.p_value == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx((low, high))
    assert (found.trainings, found.decides) == (3, True)


def test_the_noise_of_single_units_is_counted_once():
    # Two trainings that differ at random from image to image and in nothing else: what their
    # scores spread by is that noise again, and is not added to it.
    rng = np.random.default_rng(0)
    ratio = []
    for _ in range(60):
        runs = [rng.normal(0.5, 0.2, 400) for _ in range(10)]
        found = interval(halves(*(sequences(run) for run in runs), splits=100))
        ratio.append((found.high - found.low) / (2 * 1.96 * 100 * 0.2 / np.sqrt(400 * 10)))
    assert 0.9 < np.sqrt(np.mean(np.square(ratio))) < 1.2  # 1.41 when added


def test_one_training_a_side_never_decides():
    a = halves(sequences(np.linspace(0.5, 0.9, 40)))
    b = halves(sequences(np.linspace(0.1, 0.5, 40)))
    found = difference(a, b)
    assert found.low > 0
    assert (found.covers_training, found.decides, found.clear_of_zero) == (False, False, False)
    two, of_one = difference(a * 2, b * 2), difference(a * 2, b)
    assert (two.decides, two.clear_of_zero) == (True, True)
    assert (of_one.trainings, of_one.decides) == (1, False)


def test_few_units_never_decide():
    for count in (2, FEWEST_UNITS - 1, FEWEST_UNITS):
        a, b = (halves(sequences(np.full(count, level) + 0.01 * (np.arange(count) % 2)))
                for level in (0.8, 0.2))  # fmt: skip
        found = difference(a * 2, b * 2)
        assert found.low > 0
        assert found.decides == found.clear_of_zero == (count >= FEWEST_UNITS)


def test_one_unit_has_no_interval():
    found = interval(halves(sequences([0.5])))
    assert found.value == 50
    assert math.isnan(found.low)
    assert not difference(*[halves(sequences([0.5]))] * 2).decides


def test_splits_without_a_score_are_left_out():
    gap = np.array([np.nan, 1.0, 3.0])
    found = interval([HalfScores(2.0, gap, np.array([2.0, 3.0, 1.0]), 30)])
    whole = interval([HalfScores(2.0, gap[1:], np.array([3.0, 1.0]), 30)])
    assert (found.low, found.high) == (whole.low, whole.high)
    nothing = interval([HalfScores(2.0, gap[:1], gap[:1], 30)])
    assert math.isnan(nothing.low)


def test_the_bias_of_a_score_moves_its_interval():
    # halves one point above the whole: a score that falls as the test set grows
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 2, 200)
    found = interval([HalfScores(10.0, 11 + noise, 11 - noise, 200)])
    assert (found.low + found.high) / 2 == pytest.approx(9.0)
    assert found.low < 10 < found.high
