"""`mimbench score` of classes and scores made elsewhere: each form gives the same metrics."""

import json
import sys

import numpy as np
import pytest
import torch

from downstream.classification.ranks import ranks_of
from downstream.classification.units import ClassificationUnits
from downstream.results.result import ELSEWHERE, load_units, read_results
from mim_backbones.console.cli import main

CLASSES = ('ant', 'bee', 'cat', 'dog', 'eel', 'fox')
TRAIN = dict.fromkeys(CLASSES, 1)
VAL = {'ant': 2, 'bee': 2, 'dog': 3, 'fox': 2}
NAMES = [f'val/{name}/{number}.JPEG' for name, count in VAL.items() for number in range(count)]
LABELS = [CLASSES.index(name) for name, count in VAL.items() for _ in range(count)]


@pytest.fixture
def score(folders, monkeypatch, capsys, tmp_path):
    """score(file) -> exit code, standard output, standard error."""
    folders(train=TRAIN, val=VAL)
    (tmp_path / 'data.yaml').write_text('classification: {root: set}\n')

    def run(path, name='theirs'):
        words = ['score', '--task', 'imagenet', '--predictions', path, '--name', name, '--json']
        words += ['--data', tmp_path / 'data.yaml', '--out', tmp_path / 'results']
        monkeypatch.setattr(sys, 'argv', ['mimbench', *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            main()
        return stop.value.code, *capsys.readouterr()

    return run


@pytest.fixture
def logits():
    found = torch.from_numpy(np.random.default_rng(3).normal(size=(len(NAMES), len(CLASSES))))
    found[range(0, 9, 2), LABELS[::2]] += 4
    return found


def written(path, lines):
    path.write_text('\n'.join(','.join(map(str, line)) for line in lines) + '\n')
    return path


def table(path, columns, scores, names=NAMES):
    return written(path, [['name', *columns], *([n, *s] for n, s in zip(names, scores.tolist()))])


def test_every_form_scores_as_our_own_metric(score, logits, tmp_path) -> None:
    held = torch.zeros(len(NAMES), dtype=torch.bool)
    rows = ranks_of(logits[:, None], torch.tensor(LABELS), NAMES, held, True)
    ours = ClassificationUnits(
        NAMES, [row.ranks[0] for row in rows], LABELS, [row.confidence[0] for row in rows]
    )
    files = {
        'a': table(tmp_path / 'a.csv', CLASSES, logits),
        'b': table(tmp_path / 'b.csv', (5, 0, 1, 2, 3, 4), logits.roll(1, 1)),
        'c': table(tmp_path / 'c.csv', CLASSES, logits.softmax(1)),
        'd': tmp_path / 'd.npy',
        'e': tmp_path / 'e.npz',
    }
    np.save(files['d'], logits.numpy())
    order = np.random.default_rng(0).permutation(len(NAMES))
    short = [name.removeprefix('val/') for name in NAMES]
    np.savez(files['e'], names=np.array(short)[order], scores=logits.float().numpy()[order])
    for name, path in files.items():
        code, printed, said = score(path, name)
        assert not code, said
        assert json.loads(printed)['metrics'] == pytest.approx(ours.observed(), abs=1e-3)
        assert ('as probabilities' if name == 'c' else 'as logits') in said
    for stored in read_results(tmp_path / 'results'):
        assert stored.result.protocol.tier == ELSEWHERE
        units = load_units(stored.beside(stored.result.units))
        assert units.observed() == pytest.approx(stored.result.metrics)
        assert stored.result.run['tables']['calibration']


def test_classes_by_rank_have_no_calibration(score, logits, tmp_path) -> None:
    best = logits.argsort(dim=1, descending=True)[:, :5]
    rows = [[name, *(CLASSES[i] if i % 2 else i for i in row)]
            for name, row in zip(NAMES, best.tolist())]  # fmt: skip
    code, printed, _ = score(written(tmp_path / 'a.csv', [['name', *'12345'], *rows]))
    assert code == 2  # the columns must say that they are ranks
    code, printed, _ = score(
        written(tmp_path / 'a.csv', [['name', *(f'top{n}' for n in range(1, 6))], *rows])
    )
    assert not code
    found = json.loads(printed)['metrics']
    right = best == torch.tensor(LABELS)[:, None]
    assert found['top1'] == pytest.approx(100 * float(right[:, 0].double().mean()))
    assert found['top5'] == pytest.approx(100 * float(right.any(1).double().mean()))
    each = [100 * float(right[np.array(LABELS) == c, 0].double().mean()) for c in set(LABELS)]
    assert found['class_mean'] == pytest.approx(np.mean(each))
    assert 'ece' not in found


HEAD = ['name', *CLASSES]
ROWS = [[name, *range(6)] for name in NAMES]
RANKED = ['name', 'top1', 'top2', 'top3', 'top4', 'top5']


def changed(row: int, cell: int, value) -> list:
    rows = [list(one) for one in ROWS]
    rows[row][cell] = value
    return rows


@pytest.mark.parametrize(
    ('lines', 'said'),
    [
        ([HEAD, *ROWS[1:]], '1 of 9 pictures are missing, the first is val/ant/0.JPEG'),
        ([HEAD], '9 of 9 pictures are missing'),
        ([HEAD, *ROWS, ROWS[3]], 'val/bee/1.JPEG occurs 2 times'),
        ([HEAD, *changed(2, 0, 'val/bee/7.JPEG')], "'val/bee/7.JPEG' is none of the val split"),
        ([HEAD, *changed(2, 0, '0.JPEG')], "'0.JPEG' means 4 pictures of the val split"),
        ([HEAD, *changed(2, 3, 'nan')], 'val/bee/0.JPEG has a score that is not finite'),
        ([HEAD, *changed(2, 3, 'x')], "line 4: could not convert string to float: 'x'"),
        ([HEAD, *ROWS[:4], ROWS[4][:-1], *ROWS[5:]], 'line 6: 6 cells, the first has 7'),
        ([HEAD[:-1], *(row[:-1] for row in ROWS)], '5 classes in the first line, the data has 6'),
        ([[*HEAD[:-1], 'emu'], *ROWS], "line 1: 'emu' is no class of the data"),
        ([[*HEAD[:-1], 'ant'], *ROWS], '5 classes in the first line'),
        ([['file', *CLASSES], *ROWS], 'the first line must be `name,top1'),
        ([[]], 'the first line must be `name,top1'),
        ([RANKED, *(row[:6] for row in changed(0, 1, 4))], 'line 2: a class occurs twice'),
        ([RANKED, *(row[:6] for row in changed(0, 1, 6))], "line 2: '6' is no class of the data"),
        ([RANKED[:4], *(row[:4] for row in ROWS)], '3 classes a picture; top-5 takes top1 to top5'),
    ],
)
def test_what_cannot_be_meant_is_one_line(score, tmp_path, lines, said) -> None:
    code, printed, error = score(written(tmp_path / 'a.csv', lines))
    assert (code, printed) == (2, '')
    assert said in error and error.count('\n') == 1
    assert not (tmp_path / 'results').exists() or not any((tmp_path / 'results').iterdir())


def test_wrong_arrays_are_one_line(score, tmp_path, logits) -> None:
    np.save(tmp_path / 'a.npy', logits[:, :5])
    assert 'scores (9, 5), expected (9, 6)' in score(tmp_path / 'a.npy')[2]
    np.save(tmp_path / 'a.npy', logits[:8])
    assert 'scores (8, 6), expected (9, 6)' in score(tmp_path / 'a.npy')[2]
    np.save(tmp_path / 'a.npy', np.array([print], object))
    assert 'a.npy cannot be read' in score(tmp_path / 'a.npy')[2]
    np.savez(tmp_path / 'a.npz', logits=logits)
    assert 'an NPZ has `names` and `scores`' in score(tmp_path / 'a.npz')[2]
    (tmp_path / 'a.npz').write_bytes(b'PK\x03\x04')
    assert 'a.npz cannot be read' in score(tmp_path / 'a.npz')[2]
    (tmp_path / 'a.csv').write_bytes(b'\xff\xfe\x00')
    assert 'cannot be read as CSV' in score(tmp_path / 'a.csv')[2]
    assert 'is a folder; give a CSV' in score(tmp_path)[2]
