"""LaSOT's scores, against pytracking's and OSTrack's evaluators and the Matlab toolkit's rules."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from downstream.tracking.scoring.curves import (
    NORM_PRECISION_THRESHOLDS,
    PRECISION_THRESHOLDS,
    SUCCESS_THRESHOLDS,
    Curves,
    average_overlap,
    dataset_scores,
    mean_curves,
    sequence_curves,
    units_of,
)
from downstream.tracking.scoring.frame_errors import frame_errors
from mim_backbones.errors import UserError

FAMILY = 'tracking_lasot_metrics'
EXCLUDED = '_exclude_invalid'
PROTOCOL_OF = {
    'pytracking_head': 'pytracking',
    'ostrack_fork': 'ostrack',
    'lasot_matlab_rederived': 'lasot_matlab',
    'mmtracking_all_frames': 'mmtracking',
    'mmtracking_only_visible': 'mmtracking_visible',
}
THRESHOLDS = {
    'thresholds.overlap': SUCCESS_THRESHOLDS,
    'thresholds.center': PRECISION_THRESHOLDS,
    'thresholds.center_norm': NORM_PRECISION_THRESHOLDS,
}
ERRORS = {'iou': 'iou', 'center_err': 'centre_error', 'center_err_norm': 'norm_error'}
CURVES = {
    'success_curves': 'success',
    'precision_curves': 'precision',
    'norm_precision_curves': 'norm_precision',
}
MEANS = {
    'auc_curve': 'success',
    'prec_curve': 'precision',
    'norm_prec_curve': 'norm_precision',
}
SCORES = {'auc': 'AUC', 'prec20': 'P', 'norm_prec02': 'P_norm'}
MM_SCORES = {'success': 'AUC', 'precision': 'P', 'norm_precision': 'P_norm'}


def protocol_of(variant: str) -> str:
    return PROTOCOL_OF[variant.removesuffix(EXCLUDED)]


def errors_of(sequence: dict[str, Any], protocol: str) -> Any:
    visible = sequence['target_visible']
    return frame_errors(
        sequence['pred'].numpy(),
        sequence['gt'].numpy(),
        None if visible is None else visible.numpy(),
        protocol,
        sequence['dataset'],
    )


def curves_of(golden: dict[str, Any], variant: str, names: list[str]) -> list[Curves]:
    protocol, excluded = protocol_of(variant), variant.endswith(EXCLUDED)
    return [
        sequence_curves(errors_of(golden['sequences'][name], protocol), excluded) for name in names
    ]


def lasot(content: dict[str, Any]) -> list[str]:
    """Names of the sequences in LaSOT's convention, in order."""
    sequences = content['sequences']
    order = content.get('order', list(sequences))
    return [name for name in order if sequences[name]['dataset'] == 'lasot']


def frames(content: dict[str, Any]) -> list[str]:
    """Evaluator, sequence and figure."""
    return [
        f'{variant} {name} {figure}'
        for variant, sequences in content.get('per_frame', {}).items()
        for name, kept in sequences.items()
        for figure in kept
    ]


def expected_of(*keys: str) -> Callable[[dict[str, Any]], list[str]]:
    """field(content): evaluator and those of the keys that the file has of it."""

    def fields(content: dict[str, Any]) -> list[str]:
        expected = content.get('expected', {})
        return [f'{variant} {key}' for variant, e in expected.items() for key in keys if key in e]

    fields.__name__ = f'expected.*.{keys[0]}'
    return fields


def listed(golden: dict[str, Any], variant: str) -> list[str]:
    """The sequences of an evaluator's curves."""
    return list(golden['expected'][variant]['per_sequence'])


@pytest.mark.golden(FAMILY, each=[*THRESHOLDS])
def test_thresholds(golden, field) -> None:
    _, name = field.split('.')
    assert np.array_equal(THRESHOLDS[field], golden['thresholds'][name].numpy())


@pytest.mark.golden(FAMILY, needs=['sequences'], each=frames)
def test_every_frame(golden, field) -> None:
    """To one unit in the last place: torch's square roots differ by that between processors."""
    variant, name, figure = field.split(' ')
    expected = golden['per_frame'][variant][name][figure].numpy()
    errors = errors_of(golden['sequences'][name], protocol_of(variant))
    found = getattr(errors, ERRORS.get(figure, figure))
    np.testing.assert_allclose(found, expected, rtol=2.3e-16, atol=0)


@pytest.mark.golden(FAMILY, needs=['sequences'], each=expected_of(*CURVES))
def test_curves(golden, field) -> None:
    variant, kind = field.split(' ')
    curves = curves_of(golden, variant, listed(golden, variant))
    found = np.stack([getattr(curve, CURVES[kind]) for curve in curves])
    np.testing.assert_allclose(found, golden['expected'][variant][kind].numpy(), atol=1e-7)


@pytest.mark.golden(FAMILY, needs=['sequences'], each=expected_of('avg_overlap_valid'))
def test_average_overlap(golden, field) -> None:
    variant, kind = field.split(' ')
    sequences, protocol = golden['sequences'], protocol_of(variant)
    found = [
        average_overlap(errors_of(sequences[name], protocol)) for name in listed(golden, variant)
    ]
    np.testing.assert_allclose(found, golden['expected'][variant][kind].numpy(), rtol=1e-7)


@pytest.mark.golden(
    FAMILY, needs=['sequences'], each=expected_of('per_sequence', 'mean_lasot5', 'mean_all6')
)
def test_scores(golden, field) -> None:
    variant, kind = field.split(' ')
    expected = golden['expected'][variant][kind]
    groups = {
        'per_sequence': {name: [name] for name in listed(golden, variant)},
        'mean_lasot5': {kind: lasot(golden)},
        'mean_all6': {kind: listed(golden, variant)},
    }[kind]
    protocol = protocol_of(variant)
    for name, group in groups.items():
        curves = curves_of(golden, variant, group)
        found = dataset_scores(curves, protocol)
        units = units_of(group, curves, protocol).observed()
        theirs = expected[name] if kind == 'per_sequence' else expected
        for key, ours in SCORES.items():
            assert found[ours] == pytest.approx(float(theirs[key]), rel=1e-6), (name, key)
            assert units[ours] == pytest.approx(float(theirs[key]), rel=1e-6), (name, key)
        for key in MEANS.keys() & dict(theirs).keys():
            curve = 100 * getattr(mean_curves(curves, protocol), MEANS[key])
            np.testing.assert_allclose(curve, theirs[key].numpy(), rtol=1e-6, atol=1e-5)


@pytest.mark.golden(FAMILY, needs=['sequences'], each=expected_of(*MM_SCORES))
def test_mmtracking(golden, field) -> None:
    variant, key = field.split(' ')
    found = dataset_scores(curves_of(golden, variant, lasot(golden)), protocol_of(variant))
    expected = float(golden['expected'][variant][key])
    assert found[MM_SCORES[key]] == pytest.approx(expected, rel=1e-12)


BOX = np.array([[10.0, 10, 20, 20]] * 4)
NAN_SECOND = np.where(np.arange(4)[:, None] == 1, np.nan, BOX)
CASES = {
    'nan_prediction': (NAN_SECOND, BOX),
    'negative_size_prediction': (BOX * [1, 1, -1, 1], BOX),
    'nan_gt': (BOX, NAN_SECOND),
    'short_prediction': (BOX[:2], BOX),
}


def cases(content: dict[str, Any]) -> list[str]:
    return [k for k in content.get('error_cases', {}) if k.rpartition('_')[0] in CASES]


@pytest.mark.golden(FAMILY, each=cases)
def test_what_the_evaluators_refuse_is_refused(golden, field) -> None:
    case, _, convention = field.rpartition('_')
    for protocol in ('pytracking', 'ostrack'):
        if golden['error_cases'][field] == 'ok':
            frame_errors(*CASES[case], None, protocol, convention)
        else:
            with pytest.raises(UserError):
                frame_errors(*CASES[case], None, protocol, convention)
