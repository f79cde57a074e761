import numpy as np
import pytest

from downstream.tracking.metrics import (
    NORM_PRECISION_THRESHOLDS,
    PRECISION_THRESHOLDS,
    SUCCESS_THRESHOLDS,
    dataset_scores,
    frame_errors,
    sequence_curves,
)
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
        (lambda p, g: (p, g * np.nan), 'only `uav`'),
        (lambda p, g: (p[:2], g), '2 predicted boxes for 4 frames'),
    ],
)
def test_what_cannot_be_scored(change, message):
    with pytest.raises(UserError, match=message):
        frame_errors(*change(PREDICTED, TRUTH))


def test_unknown_protocol():
    with pytest.raises(UserError, match='lasot_matlab'):
        frame_errors(PREDICTED, TRUTH, protocol='vot')


# ------------------------------------------------ published evaluators (golden/README.md, Tracking)

PROTOCOL_OF = {'pytracking_head': 'pytracking', 'ostrack_fork': 'ostrack'}


@pytest.fixture
def goldens(golden):
    return golden('tracking_lasot_metrics')


def errors_of(sequence, protocol):
    visible = sequence['target_visible']
    return frame_errors(
        sequence['pred'].numpy(),
        sequence['gt'].numpy(),
        None if visible is None else visible.numpy(),
        protocol,
        sequence['dataset'],
    )


def test_golden_thresholds(goldens):
    for golden in goldens:
        expected = golden['thresholds']
        assert np.array_equal(SUCCESS_THRESHOLDS, expected['overlap'].numpy())
        assert np.array_equal(PRECISION_THRESHOLDS, expected['center'].numpy())
        assert np.array_equal(NORM_PRECISION_THRESHOLDS, expected['center_norm'].numpy())


def test_golden_frames(goldens):
    for golden in goldens:
        for variant, sequences in golden['per_frame'].items():
            for name, expected in sequences.items():
                errors = errors_of(golden['sequences'][name], PROTOCOL_OF[variant])
                assert np.array_equal(errors.valid, expected['valid'].numpy())
                for ours, key in (
                    (errors.iou, 'iou'),
                    (errors.centre_error, 'center_err'),
                    (errors.norm_error, 'center_err_norm'),
                ):
                    np.testing.assert_allclose(ours, expected[key].numpy(), rtol=1e-9, atol=1e-12)


def test_golden_curves_and_scores(goldens):
    for golden in goldens:
        checked = 0
        for variant, expected in golden['expected'].items():
            if variant.startswith('mmtracking'):
                continue  # another evaluator, listed for its distance to these
            exclude = variant.endswith('_exclude_invalid')
            protocol = PROTOCOL_OF.get(variant.removesuffix('_exclude_invalid'), 'lasot_matlab')
            names = list(expected['per_sequence'])
            curves = [
                sequence_curves(errors_of(golden['sequences'][name], protocol), exclude)
                for name in names
            ]
            for ours, key in (
                ([curve.success for curve in curves], 'success_curves'),
                ([curve.precision for curve in curves], 'precision_curves'),
                ([curve.norm_precision for curve in curves], 'norm_precision_curves'),
                ([curve.mean_overlap for curve in curves], 'avg_overlap_valid'),
            ):
                if key in expected:
                    np.testing.assert_allclose(ours, expected[key].numpy(), atol=1e-7)
            for name, curve in zip(names, curves):
                assert_scores(dataset_scores([curve], protocol), expected['per_sequence'][name])
            lasot = [
                c for n, c in zip(names, curves) if golden['sequences'][n]['dataset'] == 'lasot'
            ]
            assert_scores(dataset_scores(lasot, protocol), expected['mean_lasot5'])
            if 'mean_all6' in expected:
                assert_scores(dataset_scores(curves, protocol), expected['mean_all6'])
            checked += 1
        assert checked >= 3


def assert_scores(ours, expected):
    for name, key in (('AUC', 'auc'), ('P', 'prec20'), ('P_norm', 'norm_prec02')):
        assert ours[name] == pytest.approx(float(expected[key]), rel=1e-5)


def test_golden_error_cases(goldens):
    for golden in goldens:
        for case, outcome in golden['error_cases'].items():
            what, dataset = case.rsplit('_', 1)
            predicted, truth = PREDICTED.copy(), TRUTH.copy()
            if what == 'nan_prediction':
                predicted[1] = np.nan
            elif what == 'negative_size_prediction':
                predicted[1, 2] = -1
            elif what == 'nan_gt':
                truth[1] = np.nan
            else:
                assert what == 'short_prediction'
                predicted = predicted[:2]
            if outcome == 'ok':
                frame_errors(predicted, truth, None, 'pytracking', dataset)
            else:
                with pytest.raises(UserError):
                    frame_errors(predicted, truth, None, 'pytracking', dataset)
