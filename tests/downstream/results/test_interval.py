import numpy as np
import pytest
from downstream.results.bootstrap import (
    difference_of,
    draw_weights,
    interval,
    interval_of,
    paired_difference,
    resampled_scores,
)
from hypothesis import given, settings
from hypothesis import strategies as st

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


def test_every_draw_has_as_many_units_as_the_data():
    weights = draw_weights(7, 50, seed=0)
    assert weights.shape == (50, 7)
    assert (weights.sum(1) == 7).all()
    np.testing.assert_array_equal(weights, draw_weights(7, 50, seed=0))
    assert (weights != draw_weights(7, 50, seed=1)).any()


def test_units_are_drawn_evenly():
    # 20000 draws of 5: each unit expected 20000 times, standard deviation sqrt(20000 * 0.8) = 126
    assert np.abs(draw_weights(5, 20000, seed=0).sum(0) - 20000).max() < 5 * 126


def test_hand_worked_interval():
    # Two sequences, P 0 and 100: a draw gives 0, 50 or 100 with chances 1/4, 1/2, 1/4, so that the
    # central 95 % runs from 0 to 100.
    found = interval(sequences([0, 1]), 'P')
    assert (found.mean, found.low, found.high, found.resamples) == (50, 0, 100, 2000)


def test_hand_worked_difference_cancels_what_is_hard_for_both():
    # The same 10 points on every sequence, however different the sequences are: no uncertainty.
    hard_and_easy = np.array([0.1, 0.8, 0.3, 0.5])
    found = paired_difference(sequences(hard_and_easy + 0.1), sequences(hard_and_easy), 'P')
    assert (found.mean, found.low, found.high) == pytest.approx((10, 10, 10), abs=1e-4)
    assert found.clear_of_zero
    assert found.p_value == pytest.approx(2 / 2001)


def test_hand_worked_p_value():
    # ten draws around 0: three at or below, seven at or above
    draws = np.array([0.4, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7])
    found = difference_of(draws, np.zeros(11))
    assert found.mean == 0.4
    assert found.p_value == pytest.approx(2 * (1 + 3) / 11)
    assert not found.clear_of_zero


def test_normal_theory_on_a_mean():
    # P is a mean, whose interval normal theory knows: 1.96 * standard deviation / sqrt(U)
    values = np.random.default_rng(0).normal(0.5, 0.1, 400).clip(0, 1)
    found = interval(sequences(values), 'P', resamples=4000)
    half = 1.96 * 100 * values.std() / np.sqrt(400)
    assert found.mean - found.low == pytest.approx(half, rel=0.08)
    assert found.high - found.mean == pytest.approx(half, rel=0.08)


def test_coverage_of_the_interval():
    # The true difference is 5 points. 95 % intervals should hold it about 190 times of 200; the
    # percentile interval of 60 units falls slightly short. At 93 %, below 175 has chance 0.2 %.
    rng = np.random.default_rng(0)
    held = 0
    for trial in range(200):
        hard = rng.normal(0.5, 0.15, 60)
        a, b = (sequences(hard + rng.normal(shift, 0.05, 60)) for shift in (0.05, 0))
        found = paired_difference(a, b, 'P', resamples=400, seed=trial)
        held += found.low <= 5 <= found.high
    assert 175 <= held <= 199


def test_pairing_narrows_the_interval():
    rng = np.random.default_rng(0)
    hard = rng.uniform(0.1, 0.8, 80)
    a, b = (sequences(hard + rng.normal(shift, 0.02, 80)) for shift in (0.03, 0))
    paired = paired_difference(a, b, 'P')
    alone = interval(a, 'P')
    assert paired.clear_of_zero
    assert paired.high - paired.low < 0.3 * (alone.high - alone.low)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.integers(0, 1000), st.integers(0, 100))
def test_swapping_the_systems_swaps_the_sign(first, second, seed):
    a, b = images(first), images(second)
    forth = paired_difference(a, b, 'mIoU', resamples=100, seed=seed)
    back = paired_difference(b, a, 'mIoU', resamples=100, seed=seed)
    assert (forth.mean, forth.low, forth.high) == pytest.approx((-back.mean, -back.high, -back.low))
    assert forth.p_value == back.p_value


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.integers(0, 100))
def test_a_system_does_not_differ_from_itself(system, seed):
    found = paired_difference(images(system), images(system), 'mIoU', resamples=50, seed=seed)
    assert (found.mean, found.low, found.high, found.p_value) == (0, 0, 0, 1)
    assert not found.clear_of_zero


def test_seeds_are_averaged_on_each_draw():
    one, two = images(1), images(2)
    both = resampled_scores([one, two], resamples=30, seed=4)['mIoU']
    apart = [resampled_scores(units, resamples=30, seed=4)['mIoU'] for units in (one, two)]
    np.testing.assert_allclose(both, np.mean(apart, axis=0))
    assert paired_difference([one, two], [two, one], 'mIoU', resamples=30).mean == 0


def test_draws_without_a_score_are_left_out():
    assert interval_of(np.array([2, 1, np.nan, 3, np.nan])).low == pytest.approx(1.05)
    nothing = interval_of(np.array([np.nan, np.nan]))
    assert np.isnan(nothing.low)


def test_other_units_are_no_pairs():
    with pytest.raises(ValueError, match='not scored on the same units'):
        paired_difference(images(0, count=5), images(0, count=6), 'mIoU')
    with pytest.raises(ValueError, match='not scored on the same units'):
        resampled_scores([images(0, count=5), images(0, count=6)])
    with pytest.raises(ValueError, match='not the same metrics'):
        paired_difference(images(0, count=5), sequences(np.ones(5)), 'mIoU')
