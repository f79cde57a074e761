"""LaSOT's scores, against pytracking's and OSTrack's evaluators and the Matlab toolkit's rules."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from downstream.tracking.metric import (
    NORM_PRECISION_THRESHOLDS,
    PRECISION_THRESHOLDS,
    SUCCESS_THRESHOLDS,
    SequenceCurves,
    dataset_scores,
    frame_errors,
    sequence_curves,
)
from mim_backbones.errors import UserError

FAMILY = 'tracking_lasot_metrics'
PROTOCOL_OF = {
    'pytracking_head': 'pytracking',
    'ostrack_fork': 'ostrack',
    'lasot_matlab_rederived': 'lasot_matlab',
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
SCORES = {'auc': 'AUC', 'prec20': 'P', 'norm_prec02': 'P_norm'}


def errors_of(sequence: dict[str, Any], protocol: str) -> Any:
    visible = sequence['target_visible']
    return frame_errors(
        sequence['pred'].numpy(),
        sequence['gt'].numpy(),
        None if visible is None else visible.numpy(),
        protocol,
    )


def lasot(content: dict[str, Any]) -> list[str]:
    """Names of the sequences in LaSOT's convention; the files hold one of UAV123's too."""
    return [name for name, one in content['sequences'].items() if one['dataset'] == 'lasot']


def frames(content: dict[str, Any]) -> list[str]:
    """Evaluator, sequence and figure."""
    figures = ('valid', *ERRORS)
    return [
        f'{variant} {name} {figure}'
        for variant, sequences in content.get('per_frame', {}).items()
        if variant in PROTOCOL_OF
        for name in lasot(content) if name in sequences
        for figure in figures if figure in sequences[name]
    ]  # fmt: skip


def expected_of(*keys: str) -> Callable[[dict[str, Any]], list[str]]:
    """field(content): evaluator and those of the keys that the file has of it."""

    def fields(content: dict[str, Any]) -> list[str]:
        known = {v: e for v, e in content.get('expected', {}).items() if v in PROTOCOL_OF}
        return [f'{variant} {key}' for variant, e in known.items() for key in keys if key in e]

    fields.__name__ = f'expected.*.{keys[0]}'
    return fields


def curves_of(golden: dict[str, Any], variant: str, names: list[str]) -> list[SequenceCurves]:
    protocol = PROTOCOL_OF[variant]
    return [sequence_curves(errors_of(golden['sequences'][name], protocol)) for name in names]


@pytest.mark.golden(FAMILY, each=[*THRESHOLDS])
def test_thresholds(golden, field) -> None:
    _, name = field.split('.')
    assert np.array_equal(THRESHOLDS[field], golden['thresholds'][name].numpy())


@pytest.mark.golden(FAMILY, needs=['sequences'], each=frames)
def test_every_frame(golden, field) -> None:
    """To one unit in the last place: torch's square roots differ by that between processors."""
    variant, name, figure = field.split(' ')
    expected = golden['per_frame'][variant][name][figure].numpy()
    errors = errors_of(golden['sequences'][name], PROTOCOL_OF[variant])
    found = getattr(errors, ERRORS.get(figure, figure))
    np.testing.assert_allclose(found, expected, rtol=2.3e-16, atol=0)


@pytest.mark.golden(FAMILY, needs=['sequences'], each=expected_of(*CURVES))
def test_curves(golden, field) -> None:
    variant, kind = field.split(' ')
    expected, known = golden['expected'][variant], lasot(golden)
    listed = list(expected['per_sequence'])
    rows = [i for i, name in enumerate(listed) if name in known]
    curves = curves_of(golden, variant, [listed[i] for i in rows])
    found = np.stack([getattr(curve, CURVES[kind]) for curve in curves])
    np.testing.assert_allclose(found, expected[kind].numpy()[rows], atol=1e-7)


@pytest.mark.golden(FAMILY, needs=['sequences'], each=expected_of('per_sequence', 'mean_lasot5'))
def test_scores(golden, field) -> None:
    variant, kind = field.split(' ')
    expected = golden['expected'][variant][kind]
    names = lasot(golden)
    groups = {name: [name] for name in names} if kind == 'per_sequence' else {kind: names}
    for name, group in groups.items():
        found = dataset_scores(curves_of(golden, variant, group), PROTOCOL_OF[variant])
        theirs = expected[name] if kind == 'per_sequence' else expected
        for key, ours in SCORES.items():
            assert found[ours] == pytest.approx(float(theirs[key]), rel=1e-5), (name, key)


BOX = np.array([[10.0, 10, 20, 20]] * 4)
BROKEN = {
    'nan_prediction': lambda p, g: (np.where(np.arange(4)[:, None] == 1, np.nan, p), g),
    'negative_size_prediction': lambda p, g: (p * [1, 1, -1, 1], g),
    'nan_gt': lambda p, g: (p, np.where(np.arange(4)[:, None] == 1, np.nan, g)),
    'short_prediction': lambda p, g: (p[:2], g),
}


def refused(content: dict[str, Any]) -> list[str]:
    cases = content.get('error_cases', {})
    return [k for k in cases if k.endswith('_lasot') and k.removesuffix('_lasot') in BROKEN]


@pytest.mark.golden(FAMILY, each=refused)
def test_what_the_evaluators_refuse_is_refused(golden, field) -> None:
    assert golden['error_cases'][field] != 'ok'
    with pytest.raises(UserError):
        frame_errors(*BROKEN[field.removesuffix('_lasot')](BOX, BOX), None, 'pytracking')
