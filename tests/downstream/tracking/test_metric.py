import numpy as np
import pytest
from mmengine.evaluator import Evaluator

from downstream.tracking.data import read_boxes
from downstream.tracking.metric import (
    NORM_PRECISION_THRESHOLDS,
    LasotMetric,
    dataset_scores,
    frame_errors,
    sequence_curves,
)
from downstream.tracking.sequences import LasotSequences
from downstream.tracking.tracker import track_sequences
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


# ------------------------------------------------ the metric of the Runner's test loop


def test_the_metric_scores_tracks_and_writes_them(make_model, lasot_root, tmp_path):
    dataset = LasotSequences(str(lasot_root))
    model = make_model().eval()
    metric = LasotMetric(protocol='pytracking', results_dir=str(tmp_path))
    evaluator = Evaluator(metric)
    evaluator.dataset_meta = dataset.metainfo
    for sequence in dataset.sequences:
        batch = {'inputs': [sequence]}
        evaluator.process(model.val_step(batch), batch)
    found = evaluator.evaluate(len(dataset))
    tracks = track_sequences(model, dataset.sequences)
    curves = [
        sequence_curves(frame_errors(track.boxes, one.boxes, one.visible, 'pytracking'))
        for track, one in zip(tracks, dataset.sequences)
    ]
    assert found == pytest.approx(dataset_scores(curves, 'pytracking'))
    assert metric.units.names == ('tile-1', 'tile-2', 'tile-3')
    assert metric.units.observed() == pytest.approx(found, abs=1e-4)
    for name, track in metric.tracks.items():
        np.testing.assert_allclose(read_boxes(tmp_path / f'{name}.txt'), track.boxes, atol=5e-4)


def test_unknown_protocol_of_the_metric():
    with pytest.raises(UserError, match="protocol='vot'"):
        LasotMetric(protocol='vot')


def test_a_frame_at_the_threshold_counts_as_the_evaluators_round_it():
    """Centres 10 and 0 px apart, 0.2 of the truth's width: each is divided, then subtracted."""
    truth = np.array([[335.0, 77, 50, 170]] * 2)
    predicted = np.array([[335.0, 77, 50, 170], [318, 68, 64, 188]])
    errors = frame_errors(predicted, truth)
    # (318 + 31.5) / 50 = 6.99 and (335 + 24.5) / 50 = 7.19, whose difference is not quite 0.2
    assert errors.norm_error[1] == 7.19 - 6.99 == 0.20000000000000018
    assert errors.norm_error[1] > NORM_PRECISION_THRESHOLDS[20] == 10 / 50
    assert sequence_curves(errors).norm_precision[20] == 0.5
