"""Confidence against absence flags: by hand, counted alone, and properties."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from downstream.tracking.scoring.presence import (
    best_presence,
    calibration,
    ordering,
    presence_at,
    presence_curve,
)
from mim_backbones.errors import UserError

CONFIDENCE = np.array([0.9, 0.8, 0.8, 0.3, 0.2])
PRESENT = np.array([True, True, False, True, False])


def test_by_hand_at_one_threshold():
    found = presence_at(CONFIDENCE, PRESENT, 0.8)  # reports three, two of them rightly, of three
    assert (found.precision, found.recall, found.f1) == pytest.approx((2 / 3, 2 / 3, 2 / 3))
    nothing = presence_at(CONFIDENCE, PRESENT, 0.95)
    assert math.isnan(nothing.precision) and (nothing.recall, nothing.f1) == (0, 0)


def test_the_curve_has_a_point_for_each_confidence():
    thresholds, precision, recall = presence_curve(CONFIDENCE, PRESENT)
    assert thresholds.tolist() == [0.9, 0.8, 0.3, 0.2]
    assert precision == pytest.approx([1, 2 / 3, 3 / 4, 3 / 5])
    assert recall == pytest.approx([1 / 3, 2 / 3, 1, 1])


def test_the_best_threshold():
    found = best_presence(CONFIDENCE, PRESENT)  # F1: 1/2, 2/3, 6/7, 3/4
    assert (found.threshold, found.f1) == (0.3, pytest.approx(6 / 7))


def test_ordering_by_hand():
    # 0.9 and one 0.8 against 0.8 and 0.2: right, right, half, right; 0.3: wrong, right
    assert ordering(CONFIDENCE, PRESENT) == pytest.approx(4.5 / 6)
    assert math.isnan(ordering(CONFIDENCE, np.ones(5, bool)))


def test_calibration_by_hand():
    found = calibration(np.array([0.0, 0.1, 0.9, 1.0]), np.array([False, True, True, True]), 2)
    assert found.count.tolist() == [2, 2]
    assert found.confidence == pytest.approx([0.05, 0.95])
    assert found.present.tolist() == [0.5, 1]
    assert found.ece == pytest.approx((2 * 0.45 + 2 * 0.05) / 4)
    assert found.brier == pytest.approx((0 + 0.81 + 0.01 + 0) / 4)


def test_an_empty_bin_is_nan_and_weighs_nothing():
    found = calibration(np.array([0.05, 0.05]), np.array([False, False]), 2)
    assert math.isnan(found.present[1]) and found.count[1] == 0
    assert found.ece == pytest.approx(0.05)


@settings(max_examples=60, deadline=None)
@given(
    confidence=arrays(float, 12, elements=st.sampled_from([0, 0.25, 0.5, 0.75, 1])),
    present=arrays(bool, 12),
)
def test_the_curve_is_every_threshold_counted_alone(confidence, present):
    present[0] = True
    thresholds, precision, recall = presence_curve(confidence, present)
    alone = [presence_at(confidence, present, threshold) for threshold in thresholds]
    assert precision == pytest.approx([each.precision for each in alone])
    assert recall == pytest.approx([each.recall for each in alone])
    assert best_presence(confidence, present).f1 == pytest.approx(max(e.f1 for e in alone))
    assert (np.diff(recall) >= 0).all()


@settings(max_examples=30, deadline=None)
@given(present=arrays(bool, 10))
def test_who_knows_is_perfect(present):
    present[3] = True
    assert best_presence(present.astype(float), present).f1 == 1
    assert calibration(present.astype(float), present).ece == 0


def test_honest_confidence_is_calibrated():
    rng = np.random.default_rng(0)
    confidence = rng.random(100_000)
    present = rng.random(len(confidence)) < confidence
    assert calibration(confidence, present).ece < 0.01
    assert calibration(confidence**2, present).ece > 0.1


@pytest.mark.parametrize(
    ('confidence', 'present', 'message'),
    [
        ([0.5], [True, False], '1 confidences for 2 frames'),
        ([], [], '0 confidences'),
        ([0.5, np.nan], [True, False], 'not finite'),
        ([0.5, 1.5], [True, False], 'within 0 and 1'),
    ],
)
def test_what_cannot_be_meant(confidence, present, message):
    with pytest.raises(UserError, match=message):
        calibration(np.array(confidence), np.array(present))


def test_a_target_that_is_never_there():
    with pytest.raises(UserError, match='in no frame'):
        best_presence(CONFIDENCE, np.zeros(5, bool))
