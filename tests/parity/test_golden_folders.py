"""Which golden files the tests of this folder run on."""

from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).parent
OWN = HERE.parent / 'golden'


@pytest.fixture
def conftest(pytestconfig) -> ModuleType:
    return pytestconfig.pluginmanager.get_plugin(str(HERE / 'conftest.py'))


@pytest.fixture
def shared(tmp_path, monkeypatch) -> Path:
    """A shared folder with a new file, and one that tests/golden has under the same name."""
    (tmp_path / 'golden').mkdir()
    for name in ('avgdist_cases.pt', 'avgdist_more.pt', 'avgdist_notes.txt'):
        (tmp_path / 'golden' / name).touch()
    monkeypatch.setenv('MIMBENCH_SHARED', str(tmp_path))
    return tmp_path / 'golden'


def test_both_folders_and_each_name_once(conftest, shared) -> None:
    folders = conftest.golden_folders(None)
    assert folders == [shared, OWN]
    found = conftest.golden_files(folders, 'avgdist')
    assert found == [shared / 'avgdist_cases.pt', shared / 'avgdist_more.pt']
    assert conftest.golden_files(folders, 'sincos')[0].parent == OWN


def test_a_chosen_folder_is_the_only_one(conftest, shared, tmp_path) -> None:
    assert conftest.golden_folders(tmp_path) == [tmp_path]
    with pytest.raises(pytest.UsageError, match='no such folder'):
        conftest.golden_folders(tmp_path / 'none')


def test_tests_golden_alone_without_a_shared_folder(conftest, monkeypatch) -> None:
    monkeypatch.delenv('MIMBENCH_SHARED', raising=False)
    assert conftest.golden_folders(None) == [OWN]
