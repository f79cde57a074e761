import json
import sys

import pytest

from mim_backbones.console.cli import main


@pytest.fixture
def report(monkeypatch, capsys):
    """Runs `mimbench report ...`; gives exit code, standard output and standard error."""

    def run(*arguments):
        monkeypatch.setattr(sys, 'argv', ['mimbench', 'report', *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        return stop.value.code, *capsys.readouterr()

    return run


def test_writes_a_report_and_prints_its_table(report, results_dir, tmp_path):
    out = tmp_path / 'made' / 'here'
    code, printed, _ = report(results_dir, '--out', out, '--splits', 50)
    assert not code
    assert 'random init' in printed
    assert printed.rstrip().endswith('report.html')
    assert sorted(path.name for path in out.iterdir()) == [
        'figures',
        'report.csv',
        'report.html',
        'report.md',
    ]
    assert len(list((out / 'figures').iterdir())) == 12


def test_prints_json(report, results_dir, tmp_path):
    code, printed, _ = report(results_dir, '--out', tmp_path / 'r', '--splits', 50, '--json')
    content = json.loads(printed)
    assert not code
    assert content['page'].endswith('report.html')
    assert {line['metric'] for line in content['numbers']} >= {'mIoU', 'AUC', 'box_mAP'}


def test_replaces_an_older_report_and_nothing_else(report, results_dir, tmp_path):
    out = tmp_path / 'r'
    out.mkdir()
    (out / 'notes.txt').write_text('mine')
    (out / 'report.html').write_text('old')
    assert not report(results_dir, '--out', out, '--splits', 50)[0]
    assert (out / 'notes.txt').read_text() == 'mine'
    assert (out / 'report.html').read_text() != 'old'
    assert not list(out.glob('.*'))


def break_json(folder):
    next(folder.glob('*.json')).write_text('{')


def lose_units(folder):
    next(folder.glob('*.units.npz')).unlink()


def cut_units(folder):
    path = next(folder.glob('*.units.npz'))
    path.write_bytes(path.read_bytes()[:100])


def empty(folder):
    for path in folder.glob('*.json'):
        path.unlink()


def spoil_picture(folder):
    min(folder.glob('*.png')).write_bytes(b'no picture')


@pytest.mark.parametrize(
    ('damage', 'message'),
    [
        (break_json, 'not JSON'),
        (lose_units, 'which is not beside it'),
        (cut_units, 'not a units file'),
        (empty, 'no result'),
        (spoil_picture, 'not a picture'),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(report, results_dir, tmp_path, damage, message):
    damage(results_dir)
    code, _, error = report(results_dir, '--out', tmp_path / 'r', '--splits', 50)
    assert code == 2
    assert message in error
    assert error.startswith('mimbench: error: ')
    assert error.count('\n') == 1
    assert not (tmp_path / 'r').exists()


def test_an_out_that_cannot_be_written_is_said_first(report, results_dir, tmp_path):
    (tmp_path / 'file').write_text('mine')
    for out in (tmp_path / 'file', tmp_path / 'file' / 'r'):
        code, _, error = report(results_dir, '--out', out)
        assert code == 2
        assert str(tmp_path / 'file') in error
    assert (tmp_path / 'file').read_text() == 'mine'
