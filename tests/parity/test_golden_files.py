"""Which golden files and fields tests run on, and what is said of the others."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.golden_files import OWN, Fields, cases_of, golden_files, golden_folders, has, read

ROOT = Path(__file__).parents[2]


@pytest.fixture
def shared(tmp_path, monkeypatch) -> Path:
    """A shared folder with a new file, and one that tests/golden has under the same name."""
    (tmp_path / 'golden').mkdir()
    for name in ('avgdist_cases.pt', 'avgdist_more.pt', 'avgdist_notes.txt'):
        (tmp_path / 'golden' / name).touch()
    monkeypatch.setenv('MIMBENCH_SHARED', str(tmp_path))
    return tmp_path / 'golden'


def test_both_folders_and_each_name_once(shared) -> None:
    folders = golden_folders(None)
    assert folders == [shared, OWN]
    found = golden_files(folders, 'avgdist')
    assert found == [shared / 'avgdist_cases.pt', shared / 'avgdist_more.pt']
    assert golden_files(folders, 'sincos')[0].parent == OWN
    assert {'lr_schedules.json', 'avgdist_more.pt'} <= {path.name for path in golden_files(folders)}


def test_a_chosen_folder_is_the_only_one(shared, tmp_path) -> None:
    assert golden_folders(tmp_path) == [tmp_path]
    with pytest.raises(pytest.UsageError, match='no such folder'):
        golden_folders(tmp_path / 'none')


def test_tests_golden_alone_without_a_shared_folder(monkeypatch) -> None:
    monkeypatch.delenv('MIMBENCH_SHARED', raising=False)
    assert golden_folders(None) == [OWN]


def test_half_floats_are_read_as_floats(tmp_path) -> None:
    torch.save({'a': [torch.ones(2).half()], 'b': {'c': torch.ones(2, dtype=torch.int64)}},
               tmp_path / 'x.pt')  # fmt: skip
    content = read(tmp_path / 'x.pt')
    assert content['a'][0].dtype == torch.float32
    assert content['b']['c'].dtype == torch.int64


def test_a_field_that_is_absent_skips_by_its_name(tmp_path) -> None:
    path = tmp_path / 'x.pt'
    torch.save({'pred': torch.ones(1), 'config': {'depth': 2}, 'decay_0.9': torch.ones(1)}, path)
    assert has(read(path), 'decay_0.9')
    assert list(cases_of(path, ['config.depth'], ['pred', 'loss'])) == [
        ('pred', []), ('loss', ['loss'])
    ]  # fmt: skip
    assert list(cases_of(path, ['config.heads', 'pred.x'], None)) == [
        ('', ['config.heads', 'pred.x'])
    ]
    assert list(cases_of(path, [], lambda content: sorted(content))) == [
        ('config', []), ('decay_0.9', []), ('pred', [])
    ]  # fmt: skip
    with pytest.raises(pytest.skip.Exception, match=r'x\.pt has no noise'):
        Fields(path, read(path))['noise']
    with pytest.raises(pytest.skip.Exception, match=r'x\.pt has no config\.heads'):
        Fields(path, read(path))['config']['heads']


@pytest.mark.slow
def test_a_file_that_no_test_checks_is_listed_and_strictly_a_failure(tmp_path) -> None:
    for family in ('sincos_pos_embed', 'somebodys_own'):
        (tmp_path / f'{family}_new.pt').write_bytes((OWN / 'sincos_pos_embed.pt').read_bytes())
    (tmp_path / 'README.md').touch()
    command = [
        sys.executable, '-m', 'pytest', 'tests/parity/test_sincos_pos_embed.py',
        '-p', 'no:cacheprovider', f'--golden={tmp_path}', '--strict-golden',
    ]  # fmt: skip
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 1
    (said,) = (line for line in run.stdout.splitlines() if line.startswith('golden file'))
    assert said == f'golden file that no test checked: {tmp_path}/somebodys_own_new.pt'
