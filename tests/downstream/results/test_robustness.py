"""mPC and rPC, and what a result keeps of them."""

import json
from dataclasses import replace

import numpy as np
import pytest

from downstream.results.interval import HalfScores, half_scores
from downstream.results.result import Result, read_result, write_result
from downstream.results.robustness import (
    ALEXNET,
    Robustness,
    Scored,
    load_halves,
    row_name,
    save_halves,
)
from downstream.robustness.conditions import DRAWN, NAMES, SEVERITIES, VERSION, Conditions
from downstream.segmentation.units import SegmentationUnits
from mim_backbones.errors import UserError

SCORES = {
    'fog': {'1': {'mIoU': 40.0}, '5': {'mIoU': 20.0}},
    'frost': {'1': {'mIoU': 10.0}, '5': {'mIoU': 2.0}},
}


def test_mean_and_relative_by_hand():
    found = Robustness(SCORES, DRAWN, VERSION)
    assert found.severities == (1, 5)
    assert found.mean('mIoU') == 18.0  # ((40 + 20) / 2 + (10 + 2) / 2) / 2
    assert found.relative('mIoU', 60.0) == pytest.approx(30.0)
    assert found.relative('mIoU', 0.0) is None
    assert found.summary({'mIoU': 60.0}, 150) == {'mPC': {'mIoU': 18.0}, 'rPC': {'mIoU': 30.0}}


def test_halves_have_an_mpc_and_an_rpc_of_their_own(tmp_path):
    def row(*values):
        return {'mIoU': HalfScores(values[0], np.array(values[1:3]), np.array(values[3:5]), 8)}

    rows = {
        'clean': row(60, 50, 80, 70, 0),
        'fog 1': row(40, 30, 60, 50, 10),
        'fog 5': row(20, 10, 20, 30, 0),
        'frost 1': row(10, 5, 0, 15, 0),
        'frost 5': row(2, 3, 0, 5, 0),
    }
    path = save_halves(tmp_path / 'a.npz', rows)
    found = load_halves(path, Robustness(SCORES, DRAWN, VERSION))['mIoU']
    assert found.mean.whole == 18 and found.relative.whole == pytest.approx(30)
    assert found.mean.first.tolist() == [12, 20]
    assert found.relative.first == pytest.approx([24, 25])
    assert found.relative.second[0] == pytest.approx(100 * 25 / 70)
    assert np.isnan(found.relative.second[1])  # nothing is scored there on clean pictures
    assert found.clean.units == 8
    with pytest.raises(UserError, match='not the scores under corruption'):
        load_halves(path, Robustness({'fog': SCORES['fog']}, DRAWN, VERSION))


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'scores': {}}, 'must name corruptions'),
        ({'scores': {'<b>': SCORES['fog']}}, 'must name corruptions'),
        ({'scores': {**SCORES, 'snow': {'1': {'mIoU': 1.0}}}}, 'same severities'),
        ({'scores': {'fog': {'9': {'mIoU': 1.0}}}}, '1 to 5'),
        ({'scores': {'fog': 3}}, 'same severities'),
        ({'scores': {'fog': {'1': 3}}}, 'must hold metrics'),
        ({'frost': 3}, 'frost'),
        ({'version': 'x'}, 'version'),
        ({'halves': 3}, 'file name'),
    ],
)
def test_what_cannot_be_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        Robustness(**{'scores': SCORES, 'frost': DRAWN, 'version': VERSION, **changes})


@pytest.mark.parametrize(
    ('asked', 'there'),
    [
        (Conditions(('fog',), (1,)), True),
        (Conditions(('fog', 'frost'), (1, 5)), True),
        (Conditions(('fog', 'snow'), (1,)), False),
        (Conditions(('fog',), (1, 2)), False),
        (Conditions(('frost',), (1,), 'x', 'digest'), False),
        (Conditions(('fog',), (1,), 'x', 'digest'), True),  # without frost it does not matter
    ],
)
def test_what_is_there_already(asked, there):
    found = Robustness(SCORES, DRAWN, VERSION)
    assert found.covers(asked, VERSION) is there
    assert not found.covers(asked, VERSION + 1)


@pytest.fixture
def result():
    from downstream.results.result import Protocol

    return Result(
        name='a', checkpoint=None, method='none', architecture='ViT', task='segmentation',
        protocol=Protocol('p', '1', 'segmentation', 'smoke'), metrics={'mIoU': 50.0},
        primary='mIoU', seed=0, cost={}, versions={}, data={'name': 'd', 'fingerprint': 'f'},
        config_sha256='c', protocol_sha256='p', backbone_sha256='b',
    )  # fmt: skip


def test_a_result_keeps_them_beside_its_own_identity(result, tmp_path):
    intersect, labelled = np.full((4, 2), 30), np.full((4, 2), 60)
    units = SegmentationUnits(list('abcd'), intersect, labelled, labelled)
    halves = {'mIoU': half_scores(units)['mIoU']}
    rows = {'clean': halves} | {row_name(n, s): halves for n in SCORES for s in (1, 5)}
    plain = write_result(tmp_path, result)
    scored = Scored(Robustness(SCORES, DRAWN, VERSION), rows)
    path = write_result(tmp_path, result, scored=scored)
    assert path == plain  # the same evaluation: no name or digest changes
    stored = read_result(path)
    assert replace(stored.result, robustness=None) == result
    robustness = stored.result.robustness
    assert robustness is not None and robustness.scores == SCORES
    assert load_halves(stored.beside(robustness.halves), robustness)['mIoU'].clean.units == 4
    stored.beside(robustness.halves).unlink()
    with pytest.raises(UserError, match='not beside it'):
        read_result(path)


def test_results_of_before_are_read_and_odd_ones_refused(result, tmp_path):
    path = write_result(tmp_path, result)
    content = json.loads(path.read_text())
    del content['robustness']
    path.write_text(json.dumps(content))
    assert read_result(path).result == result
    block = {'scores': SCORES, 'frost': DRAWN, 'version': VERSION, 'halves': '../a.npz'}
    sound = {**block, 'halves': None}
    endless = {'fog': {'1': {'mIoU': 1e999}}}
    odd_ones = [block, {**sound, 'more': 1}, 7]
    odd_ones += [{**sound, 'scores': each} for each in (endless, {'fog': {'1': {}}}, {'fog': {}})]
    for odd in odd_ones:
        path.write_text(json.dumps({**content, 'robustness': odd}))
        with pytest.raises(UserError, match='not a result'):
            read_result(path)


def test_mean_corruption_error_is_in_parts_of_alexnets():
    # errors of 80 % everywhere: the mean over corruptions of 0.8 / AlexNet's
    levels = {str(level): {'top1': 20.0} for level in SEVERITIES}
    whole = Robustness(dict.fromkeys(NAMES, levels), 'drawn', 1)
    parts = [0.8 / ALEXNET[name] for name in NAMES]
    assert whole.corruption_error(1000) == pytest.approx(100 * np.mean(parts))
    # AlexNet's own errors, as the paper rounds them, are 100
    same = {
        name: {level: {'top1': 100 * (1 - ALEXNET[name])} for level in '12345'} for name in NAMES
    }
    found = Robustness(same, 'drawn', 1)
    assert found.corruption_error(1000) == pytest.approx(100)
    assert found.summary({'top1': 56.5}, 1000)['mCE'] == {'top1': pytest.approx(100)}
    paper = (88.6, 89.4, 92.3, 82.0, 82.6, 78.6, 79.8, 86.7, 82.7, 81.9)  # Table 1, to fog
    assert [100 * ALEXNET[name] for name in NAMES[:10]] == pytest.approx(paper, abs=0.06)
    assert whole.corruption_error(10) is None  # other classes
    assert Robustness({'fog': levels}, 'drawn', 1).corruption_error(1000) is None
    few = {name: {'1': {'top1': 20.0}} for name in NAMES}
    assert Robustness(few, 'drawn', 1).corruption_error(1000) is None
