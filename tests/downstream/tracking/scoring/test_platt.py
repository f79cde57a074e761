"""The curve that makes scores probabilities: known ones are found again, order and sums kept."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import expit, logit

from downstream.tracking.scoring.platt import calibrated, fit_confidence
from downstream.tracking.scoring.presence import calibration, ordering
from mim_backbones.errors import UserError


@pytest.mark.parametrize('line', [(1.0, 0.0), (2.5, -1.0), (0.4, 1.5)])
def test_the_curve_that_made_the_frames_is_found(line):
    rng = np.random.default_rng(0)
    score = rng.uniform(0.05, 0.95, 40_000)
    right = rng.random(len(score)) < expit(line[0] * logit(score) + line[1])
    found = fit_confidence(score, right)
    assert found == pytest.approx(line, abs=0.06)
    assert calibration(calibrated(score, found), right).ece < 0.01


def test_two_scores_by_hand():
    """As many numbers as scores: each gets its own share, with Platt's priors.

    4 frames of 0.2, one right; 4 of 0.8, three right. Targets: right 5/6, wrong 1/6.
    """
    score = np.repeat([0.2, 0.8], 4)
    right = np.array([1, 0, 0, 0, 1, 1, 1, 0], bool)
    found = calibrated(np.array([0.2, 0.8]), fit_confidence(score, right))
    assert found == pytest.approx([(5 / 6 + 3 / 6) / 4, (3 * 5 / 6 + 1 / 6) / 4], abs=1e-4)


@settings(max_examples=40, deadline=None)
@given(score=arrays(float, 20, elements=st.floats(0, 1)), right=arrays(bool, 20))
def test_it_keeps_the_order_and_gives_probabilities(score, right):
    right[:2] = True, False
    found = calibrated(score, fit_confidence(score, right))
    assert ((found >= 0) & (found <= 1)).all()
    assert (np.diff(found[np.argsort(score)]) >= 0).all()


def test_a_score_that_says_the_opposite_is_not_turned_round():
    score = np.linspace(0.1, 0.9, 50)
    found = calibrated(score, fit_confidence(score, score < 0.5))
    assert ordering(found, score < 0.5) < 0.5
    assert np.ptp(found) < 0.01


@pytest.mark.parametrize('right', [True, False])
def test_frames_of_one_kind_tell_nothing(right):
    with pytest.raises(UserError, match='sequences of both kinds'):
        fit_confidence(np.array([0.2, 0.8]), np.array([right, right]))
