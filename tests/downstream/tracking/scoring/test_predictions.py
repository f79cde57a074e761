"""`mimbench score --task lasot`: tracks made elsewhere, right and wrong."""

import io
import json
import sys

import numpy as np
import pytest
from PIL import Image

from downstream.report.read.groups import group_results
from downstream.results.result import ELSEWHERE, load_units, read_results
from downstream.tracking.data import read_sequences
from downstream.tracking.formats.layouts import LAYOUTS, TrackRecord, find_layout, write_tracks
from downstream.tracking.scoring.attributes import ATTRIBUTES, attribute_scores, read_attributes
from downstream.tracking.scoring.curves import dataset_scores, sequence_curves
from downstream.tracking.scoring.frame_errors import frame_errors
from downstream.tracking.scoring.rules import PROTOCOLS
from downstream.tracking.units import TrackingUnits
from mim_backbones.console.cli import main
from mim_backbones.errors import UserError


@pytest.fixture
def world(make_lasot):
    """Three test sequences of 12 frames, the last with an absent target in 4."""
    root = make_lasot()
    gone = ','.join('1' if 4 <= frame < 8 else '0' for frame in range(12))
    (root / 'tile' / 'tile-3' / 'out_of_view.txt').write_text(gone)
    (root / 'data.yaml').write_text(f'tracking: {{root: {root}}}\n')
    return root


@pytest.fixture
def tracks(world):
    """Boxes that leave the truth step by step, with scores that see the absence."""
    records = {}
    for number, video in enumerate(read_sequences(world, 'testing_set.txt')):
        drift = np.arange(12)[:, None] * [1.3, 0.4 * number, 0, 0.5]
        scores = np.where(video.visible, 0.75, 0.25)
        records[video.name] = TrackRecord([video.boxes + drift], scores=scores)
    return records


@pytest.fixture
def score(monkeypatch, capsys, world, tmp_path):
    """Runs `mimbench score --task lasot`; gives exit code, standard output and standard error."""

    def run(predictions, *more, name='theirs'):
        words = ['--task', 'lasot', '--predictions', predictions, '--data', world / 'data.yaml']
        words += ['--name', name, '--out', tmp_path / 'results', *more]
        monkeypatch.setattr(sys, 'argv', ['mimbench', 'score', *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            main()
        return stop.value.code, *capsys.readouterr()

    return run


def expected_scores(world, tracks, protocol):
    curves = [
        sequence_curves(frame_errors(tracks[v.name].boxes[0], v.boxes, v.visible, protocol))
        for v in read_sequences(world, 'testing_set.txt')
    ]
    return dataset_scores(curves, protocol)


@pytest.mark.parametrize('layout', LAYOUTS, ids=lambda layout: layout.name)
def test_every_layout_scores_alike(score, world, tracks, tmp_path, layout):
    target = tmp_path / ('theirs.zip' if layout.zipped else 'theirs')
    write_tracks(target, tracks, layout)
    code, printed, _ = score(target, '--json')
    assert not code
    expected = expected_scores(world, tracks, 'ostrack')
    assert json.loads(printed)['metrics'] == pytest.approx(expected)


@pytest.mark.parametrize('protocol', PROTOCOLS)
def test_the_row_names_its_protocol(score, world, tracks, tmp_path, protocol):
    write_tracks(tmp_path / 'theirs', tracks, find_layout('pytracking'))
    code, printed, _ = score(tmp_path / 'theirs', '--protocol', protocol)
    assert not code
    assert f'by the rules of  {protocol}\n' in printed
    (stored,) = read_results(tmp_path / 'results')
    result = stored.result
    assert result.protocol.name == f'predictions-{protocol}' and result.protocol.tier == ELSEWHERE
    assert result.run['rules'] == protocol
    assert result.metrics == pytest.approx(expected_scores(world, tracks, protocol))
    units = load_units(stored.beside(result.units))
    assert units.observed() == pytest.approx(result.metrics, abs=1e-4)
    for other, scores in result.run['tables']['protocols'].items():
        assert scores == pytest.approx(expected_scores(world, tracks, other))
    (name,) = (one for one in result.pictures if 'curves' in one)
    page = np.asarray(Image.open(io.BytesIO(stored.beside(name).read_bytes())).convert('RGB'))
    assert page.shape[1] > 1000
    assert (np.abs(page.astype(int) - (31, 95, 168)).sum(2) < 30).sum() > 500  # the mean curve


def test_protocols_stand_apart_in_a_report(score, tracks, tmp_path, monkeypatch):
    write_tracks(tmp_path / 'theirs', tracks, find_layout('pytracking'))
    for protocol in ('ostrack', 'pytracking'):
        for name in ('a', 'b'):
            assert not score(tmp_path / 'theirs', '--protocol', protocol, name=name)[0]
    groups = group_results(read_results(tmp_path / 'results'))
    assert [len(group.systems) for group in groups] == [2, 2]
    words = ['report', tmp_path / 'results', '--out', tmp_path / 'report', '--splits', 50]
    monkeypatch.setattr(sys, 'argv', ['mimbench', *map(str, words)])
    with pytest.raises(SystemExit) as stop:
        main()
    assert not stop.value.code
    page = (tmp_path / 'report' / 'report.md').read_text()
    assert 'predictions-ostrack' in page and 'predictions-pytracking' in page


def test_presence_is_told_where_there_are_scores(score, tracks, tmp_path):
    write_tracks(tmp_path / 'theirs', tracks, find_layout('pytracking'))
    score(tmp_path / 'theirs')
    (stored,) = read_results(tmp_path / 'results')
    tables = stored.result.run['tables']
    found = tables['presence']['target there']
    assert (found['threshold'], found['precision'], found['recall'], found['f1']) == (0.75, 1, 1, 1)
    assert found['ece'] == pytest.approx(0.25)  # says 0.75 and 0.25 where it is always right
    assert found['ordering'] == 1
    assert tables['reliability']['0.2 to 0.3']['frames'] == 4  # those without the target
    assert tables['reliability']['0.7 to 0.8']['target there'] == 1
    assert any('confidence' in name for name in stored.result.pictures)
    (tmp_path / 'theirs' / 'tile-2_object_presence_scores.txt').unlink()
    score(tmp_path / 'theirs', name='without')
    (_, stored) = read_results(tmp_path / 'results')
    assert 'presence' not in stored.result.run['tables']


# ------------------------------------------------------------------ attributes


def write_attributes(world, *flags):
    (world / 'att').mkdir()
    for number, own in enumerate(flags, start=1):
        text = ','.join('1' if name in own else '0' for name in ATTRIBUTES)
        (world / 'att' / f'tile-{number}.txt').write_text(text)


def test_scores_of_the_sequences_with_each_attribute(score, world, tracks, tmp_path):
    write_attributes(world, {'FM'}, {'FM', 'OV'}, {'OV'})
    write_tracks(tmp_path / 'theirs', tracks, find_layout('got10k'))
    code, printed, _ = score(tmp_path / 'theirs')
    assert not code and '\nFM ' in printed
    (stored,) = read_results(tmp_path / 'results')
    table = stored.result.run['tables']['attributes']
    assert list(table) == ['FM', 'OV'] and table['FM']['sequences'] == 2
    each = load_units(stored.beside(stored.result.units)).success.mean(1)
    assert table['FM']['AUC'] == pytest.approx(100 * each[:2].mean(), abs=1e-4)
    assert table['OV']['AUC'] == pytest.approx(100 * each[1:].mean(), abs=1e-4)


def test_wrong_attribute_files_are_named(world):
    write_attributes(world, {'FM'}, {'OV'})
    with pytest.raises(UserError, match=r'tile-3\.txt: cannot be read'):
        read_attributes(world / 'att', ('tile-1', 'tile-3'))
    (world / 'att' / 'tile-2.txt').write_text('0,1')
    with pytest.raises(UserError, match=r'tile-2\.txt: expected 14 values'):
        read_attributes(world / 'att', ('tile-1', 'tile-2'))


def test_an_attribute_of_no_sequence_has_no_row():
    curves = [np.full((2, size), 0.5) for size in (21, 51, 51)]
    flags = np.zeros((2, 14), bool)
    flags[1, 2] = True
    found = attribute_scores(TrackingUnits(['a', 'b'], *curves), flags)
    assert found == {'DEF': {'sequences': 1, 'AUC': 50, 'P': 50, 'P_norm': 50}}


# ------------------------------------------------------------------ what is not as it should be


def test_longer_tracks_are_cut_and_empty_boxes_counted_aloud(score, world, tracks, tmp_path):
    (boxes,) = tracks['tile-1'].boxes
    empty = boxes.copy()
    empty[[3, 4], 2] = 0
    tracks['tile-1'] = TrackRecord([np.concatenate([empty, boxes])])
    write_tracks(tmp_path / 'theirs', tracks, find_layout('got10k'))
    code, printed, said = score(tmp_path / 'theirs', '--json')
    assert not code
    assert '1 of 3 tracks are longer than their sequence, and were cut' in said
    assert '2 boxes have no area' in said
    expected = expected_scores(world, tracks, 'ostrack')
    assert json.loads(printed)['metrics'] == pytest.approx(expected)


def test_repetitions_count_as_their_mean(score, world, tracks, tmp_path):
    truth = {v.name: v.boxes for v in read_sequences(world, 'testing_set.txt')}
    runs = {name: TrackRecord([*each.boxes, truth[name]]) for name, each in tracks.items()}
    write_tracks(tmp_path / 'theirs', runs, find_layout('got10k'))
    found = json.loads(score(tmp_path / 'theirs', '--json')[1])['metrics']
    once = expected_scores(world, tracks, 'ostrack')
    perfect = {name: TrackRecord([boxes]) for name, boxes in truth.items()}
    best = expected_scores(world, perfect, 'ostrack')
    assert found == pytest.approx({key: (once[key] + best[key]) / 2 for key in once})


def spoiled(change):
    def spoil(folder):
        path = folder / 'tile-2.txt'
        path.write_text(change(path.read_text()))

    return spoil


@pytest.mark.parametrize(
    ('spoil', 'message'),
    [
        (lambda folder: (folder / 'tile-2.txt').unlink(), '(1 of 3 sequences are missing)'),
        (spoiled(lambda text: text[: text.index('\n') + 1]), 'tile-2: 1 predicted boxes for 12'),
        (
            spoiled(lambda text: text.replace('18.000', 'nan', 1)),
            'tile-2: the predicted boxes hold',
        ),
        (spoiled(lambda text: text.replace('18.000', '-1', 1)), 'tile-2: a predicted box has neg'),
        (spoiled(lambda text: text.replace('\t', ';')), 'line 1 has 1 values'),
    ],
)
def test_what_cannot_be_scored_is_one_line(score, tracks, tmp_path, spoil, message):
    boxes = {name: TrackRecord(each.boxes) for name, each in tracks.items()}
    write_tracks(tmp_path / 'theirs', boxes, find_layout('pytracking'))
    spoil(tmp_path / 'theirs')
    code, printed, said = score(tmp_path / 'theirs')
    assert (code, printed) == (2, '')
    assert message in said and said.count('\n') == 1
    assert not (tmp_path / 'results').exists() or not any((tmp_path / 'results').iterdir())


def test_what_matlab_repairs_the_others_do_not_tell(score, tracks, tmp_path):
    write_tracks(tmp_path / 'theirs', tracks, find_layout('pytracking'))
    spoiled(lambda text: text.replace('18.000', 'nan', 1))(tmp_path / 'theirs')
    assert not score(tmp_path / 'theirs', '--protocol', 'lasot_matlab')[0]
    (stored,) = read_results(tmp_path / 'results')
    assert list(stored.result.run['tables']['protocols']) == ['lasot_matlab']


def test_a_protocol_that_is_none(score, tracks, tmp_path):
    write_tracks(tmp_path / 'theirs', tracks, find_layout('pytracking'))
    code, _, said = score(tmp_path / 'theirs', '--protocol', 'vot')
    assert code == 2
    assert '--protocol vot: tracking is scored by ostrack or pytracking' in said
