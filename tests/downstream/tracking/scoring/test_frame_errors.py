"""Frames and curves: by hand, properties, and a plain derivation frame by frame."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from downstream.tracking.data import read_sequences
from downstream.tracking.scoring.curves import (
    KINDS,
    NORM_PRECISION_THRESHOLDS,
    PRECISION_THRESHOLDS,
    SUCCESS_THRESHOLDS,
    average_overlap,
    dataset_scores,
    sequence_curves,
    units_of,
)
from downstream.tracking.scoring.frame_errors import frame_errors
from downstream.tracking.scoring.rules import PROTOCOLS
from mim_backbones.errors import UserError

TRUTH = np.array([[10.0, 10, 20, 20], [10, 10, 20, 20], [10, 10, 20, 20], [10, 10, 20, 20]])
PREDICTED = np.array([[0.0, 0, 5, 5], [10, 10, 20, 10], [20, 10, 20, 20], [100, 100, 20, 20]])


def test_curves_by_hand():
    # IoU 1 (first frame is the truth), 200/400, 200/600, 0; centres off by 0, 5, 10, 127.3 px.
    errors = frame_errors(PREDICTED, TRUTH)
    assert errors.iou == pytest.approx([1, 0.5, 1 / 3, 0])
    assert errors.centre_error == pytest.approx([0, 5, 10, 90 * 2**0.5])
    assert errors.norm_error == pytest.approx([0, 0.25, 0.5, 4.5 * 2**0.5])
    curves = sequence_curves(errors)
    assert curves.success[0] == 0.75  # > 0
    assert curves.success[10] == 0.25  # exactly 0.5 is not > 0.5
    assert curves.success[20] == 0  # nothing is > 1
    assert curves.precision[[4, 5, 10]] == pytest.approx([0.25, 0.5, 0.75])
    # above 0: 3 frames up to 0.30 (7 thresholds), 2 up to 0.45 (3), 1 up to 0.95 (10)
    scores = dataset_scores([curves])
    assert scores['AUC'] == pytest.approx(100 * (7 * 3 + 3 * 2 + 10) / 4 / 21)
    assert scores['P'] == 75
    assert scores['P_norm'] == 25


def test_absent_frames_are_misses_and_visible_invalid_ones_hits_of_norm_precision():
    truth, predicted = TRUTH.copy(), TRUTH.copy()
    truth[2] = 0, 10, 20, 20  # valid for ostrack only
    visible = np.array([True, True, True, False])
    loose = sequence_curves(frame_errors(predicted, truth, visible, 'ostrack'))
    strict = sequence_curves(frame_errors(predicted, truth, visible, 'pytracking'))
    matlab = sequence_curves(frame_errors(predicted, truth, visible, 'lasot_matlab'))
    assert [curve.success[0] for curve in (loose, strict, matlab)] == [0.75, 0.5, 0.5]
    assert [curve.precision[20] for curve in (loose, strict, matlab)] == [0.75, 0.5, 0.75]
    # the prediction is 10 px = half a width off, yet the strict rules count it
    assert [curve.norm_precision[20] for curve in (loose, strict, matlab)] == [0.5, 0.75, 0.75]


def test_matlab_drops_sequences_that_score_nothing():
    good = sequence_curves(frame_errors(TRUTH, TRUTH))
    nothing = sequence_curves(frame_errors(TRUTH, TRUTH, np.zeros(4, bool)))
    assert dataset_scores([good, nothing], 'ostrack')['P'] == 50
    assert dataset_scores([good, nothing], 'lasot_matlab')['P'] == 100


def test_a_prediction_without_area_repeats_the_one_before():
    predicted = TRUTH.copy()
    predicted[1:3, 2] = 0
    assert frame_errors(predicted, TRUTH).iou == pytest.approx([1, 1, 1, 1])


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda p, g: (p * np.nan, g), 'NaN'),
        (lambda p, g: (p * [1, 1, -1, 1], g), 'negative'),
        (lambda p, g: (p, g * np.nan), 'truth holds NaN'),
        (lambda p, g: (p[:2], g), '2 predicted boxes for 4 frames'),
    ],
)
def test_what_cannot_be_scored(change, message):
    with pytest.raises(UserError, match=message):
        frame_errors(*change(PREDICTED, TRUTH))


def test_unknown_protocol():
    with pytest.raises(UserError, match='lasot_matlab'):
        frame_errors(PREDICTED, TRUTH, protocol='vot')


def test_a_frame_at_the_threshold_counts_as_the_evaluators_round_it():
    """Centres 10 and 0 px apart, 0.2 of the truth's width: each is divided, then subtracted."""
    truth = np.array([[335.0, 77, 50, 170]] * 2)
    predicted = np.array([[335.0, 77, 50, 170], [318, 68, 64, 188]])
    errors = frame_errors(predicted, truth)
    # (318 + 31.5) / 50 = 6.99 and (335 + 24.5) / 50 = 7.19, whose difference is not quite 0.2
    assert errors.norm_error[1] == 7.19 - 6.99 == 0.20000000000000018
    assert errors.norm_error[1] > NORM_PRECISION_THRESHOLDS[20] == 10 / 50
    assert sequence_curves(errors).norm_precision[20] == 0.5


def test_matlab_sequences_that_score_nothing_leave_the_intervals_too():
    good = sequence_curves(frame_errors(TRUTH, TRUTH))
    nothing = sequence_curves(frame_errors(TRUTH, TRUTH, np.zeros(4, bool)))
    names, curves = ['a', 'b'], [good, nothing]
    assert units_of(names, curves, 'ostrack').observed()['P'] == 50
    assert units_of(names, curves, 'lasot_matlab').observed()['P'] == 100
    assert units_of(names, [nothing] * 2, 'lasot_matlab').observed()['P'] == 0


def test_matlab_repairs_what_the_others_refuse():
    predicted = TRUTH.copy()
    predicted[1] = np.nan
    predicted[2, 2] = -1
    assert frame_errors(predicted, TRUTH, protocol='lasot_matlab').iou == pytest.approx([1] * 4)


def test_mmtracking_takes_the_first_prediction_and_gaps_as_they_are():
    predicted = TRUTH.copy()
    predicted[0] = 0, 0, 5, 5
    predicted[2, 2] = 0
    errors = frame_errors(predicted, TRUTH, protocol='mmtracking')
    assert errors.iou.tolist() == [0, 1, 0, 1]
    # centres xy + wh / 2: (2.5, 2.5), then (10, 20), against (20, 20)
    assert errors.centre_error == pytest.approx([17.5 * 2**0.5, 0, 10, 0])
    assert errors.norm_error == pytest.approx([0.875 * 2**0.5, 0, 0.5, 0])


def test_absent_frames_hit_under_mmtracking_unless_left_out():
    visible = np.array([True, True, True, False])
    for protocol, hits in (('mmtracking', 1), ('mmtracking_visible', 0.75)):
        curves = sequence_curves(frame_errors(TRUTH, TRUTH, visible, protocol))
        assert curves.success[0] == curves.precision[0] == curves.norm_precision[0] == hits


def test_uav_marks_absence_by_nan_which_is_a_hit():
    truth = TRUTH.copy()
    truth[2] = np.nan
    errors = frame_errors(PREDICTED, truth, convention='uav')
    assert errors.centre_error[2] == errors.norm_error[2] == errors.iou[2] == -1
    with pytest.raises(UserError, match='truth holds NaN'):
        frame_errors(PREDICTED, truth, convention='otb')


def test_otb_pads_a_short_track_with_boxes_without_area():
    errors = frame_errors(TRUTH[:2], TRUTH, convention='otb')
    assert errors.iou.tolist() == [1, 1, 0, 0]


def test_a_convention_without_rules_is_refused():
    with pytest.raises(UserError, match="convention 'vot'"):
        frame_errors(TRUTH, TRUTH, convention='vot')
    with pytest.raises(UserError, match='needs ostrack'):
        frame_errors(TRUTH, TRUTH, protocol='lasot_matlab', convention='uav')


def test_shares_of_the_valid_frames_alone():
    visible = np.array([True, True, False, False])
    errors = frame_errors(TRUTH, TRUTH, visible)
    assert sequence_curves(errors).success[0] == 0.5
    assert sequence_curves(errors, exclude_invalid=True).success[0] == 1
    assert average_overlap(errors) == 1
    nothing = frame_errors(TRUTH, TRUTH, np.zeros(4, bool))
    assert math.isnan(average_overlap(nothing))
    with pytest.raises(UserError, match='no frame of the sequence is valid'):
        sequence_curves(nothing, exclude_invalid=True)


# ------------------------------------------------------------------ properties

FRAMES = 6
WHOLE = st.integers(1, 60)
boxes = arrays(np.int64, (FRAMES, 4), elements=WHOLE).map(lambda found: found.astype(float))
flags = arrays(bool, FRAMES)


@settings(max_examples=40, deadline=None)
@given(predicted=boxes, truth=boxes, visible=flags, protocol=st.sampled_from(PROTOCOLS))
def test_curves_are_monotone_and_shares(predicted, truth, visible, protocol):
    curves = sequence_curves(frame_errors(predicted, truth, visible, protocol))
    assert (np.diff(curves.success) <= 0).all()
    assert (np.diff(curves.precision) >= 0).all()
    assert (np.diff(curves.norm_precision) >= 0).all()
    for kind in KINDS:
        assert (getattr(curves, kind) >= 0).all() and (getattr(curves, kind) <= 1).all()
    if protocol != 'mmtracking':  # absent frames never count
        assert curves.success[0] <= visible.mean()
        assert curves.precision[-1] <= visible.mean()


@settings(max_examples=20, deadline=None)
@given(truth=boxes, protocol=st.sampled_from(PROTOCOLS))
def test_the_truth_scores_all_but_the_last_threshold(truth, protocol):
    scores = dataset_scores([sequence_curves(frame_errors(truth, truth, None, protocol))], protocol)
    assert scores == {'AUC': pytest.approx(100 * 20 / 21), 'P': 100, 'P_norm': 100}


@settings(max_examples=40, deadline=None)
@given(predicted=boxes, truth=boxes, move=st.tuples(WHOLE, WHOLE))
def test_where_the_picture_begins_does_not_matter(predicted, truth, move):
    """Whole pixels: every sum is exact, but for the divided centres."""
    step = np.array([*move, 0, 0])
    here, there = (frame_errors(predicted + by, truth + by) for by in (0, step))
    np.testing.assert_array_equal(here.iou, there.iou)
    np.testing.assert_array_equal(here.centre_error, there.centre_error)
    np.testing.assert_allclose(here.norm_error, there.norm_error, rtol=1e-9, atol=1e-12)


@settings(max_examples=20, deadline=None)
@given(truth=boxes, by=st.integers(0, 50))
def test_a_track_beside_the_truth_is_as_far_as_it_was_moved(truth, by):
    errors = frame_errors(truth + np.array([by, 0, 0, 0]), truth)
    np.testing.assert_allclose(errors.centre_error[1:], by)
    np.testing.assert_allclose(errors.norm_error[1:], by / truth[1:, 2])
    shared = np.maximum(truth[1:, 2] - by, 0)
    np.testing.assert_allclose(errors.iou[1:], shared / (2 * truth[1:, 2] - shared))


# ------------------------------------------------------------------ frame by frame


def plain_curves(predicted, truth, visible):
    """`ostrack` once more, a frame and a threshold at a time, on corners and plain numbers."""
    hits = {kind: [0] * size for kind, size in zip(KINDS, (21, 51, 51))}
    last = predicted[0].tolist()
    for t, (box, true) in enumerate(zip(predicted.tolist(), truth.tolist())):
        box = last = box if box[2] and box[3] else last
        if not visible[t]:
            continue
        across = min(box[0] + box[2], true[0] + true[2]) - max(box[0], true[0])
        down = min(box[1] + box[3], true[1] + true[3]) - max(box[1], true[1])
        shared = max(across, 0) * max(down, 0)
        iou = shared / (box[2] * box[3] + true[2] * true[3] - shared)
        apart = [box[i] + box[i + 2] / 2 - true[i] - true[i + 2] / 2 for i in (0, 1)]
        error, norm_error = math.hypot(*apart), math.hypot(apart[0] / true[2], apart[1] / true[3])
        if t == 0:  # given
            iou, error, norm_error = 1, 0, 0
        for place, limit in enumerate(SUCCESS_THRESHOLDS):
            hits['success'][place] += iou > limit
        for place in range(51):
            hits['precision'][place] += error <= PRECISION_THRESHOLDS[place]
            hits['norm_precision'][place] += norm_error <= NORM_PRECISION_THRESHOLDS[place]
    return {kind: np.array(counts) / len(truth) for kind, counts in hits.items()}


def check_against_plain_derivation(sequences, visible_of):
    rng = np.random.default_rng(0)
    for sequence in sequences:
        wander = rng.normal(0, 0.15, sequence.boxes.shape) * sequence.boxes[:, [2, 3, 2, 3]]
        predicted = sequence.boxes + wander
        predicted[rng.random(len(sequence)) < 0.05, 2] = 0
        predicted[:, 2:] = np.maximum(predicted[:, 2:], 0)
        visible = visible_of(sequence, rng)
        curves = sequence_curves(frame_errors(predicted, sequence.boxes, visible))
        for kind, expected in plain_curves(predicted, sequence.boxes, visible).items():
            np.testing.assert_allclose(getattr(curves, kind), expected, err_msg=sequence.name)


def test_real_sequences_score_as_a_plain_derivation(shared):
    sequences = read_sequences(shared / 'data' / 'sot_small', 'training_set.txt')
    check_against_plain_derivation(sequences, lambda one, rng: rng.random(len(one)) < 0.9)


def test_synthetic_sequences_with_absent_targets_too(world):
    sequences = read_sequences(world / 'lasot', 'training_set.txt')
    assert not all(sequence.visible.all() for sequence in sequences)
    check_against_plain_derivation(sequences, lambda one, rng: one.visible)
