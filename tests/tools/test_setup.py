"""tools/setup.sh: what it refuses, before it installs anything."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / 'tools' / 'setup.sh'


def setup(**variables: object) -> subprocess.CompletedProcess[str]:
    own = {key: value for key, value in os.environ.items() if not key.startswith('MIMBENCH_')}
    return subprocess.run(
        ['bash', str(SCRIPT)],
        env={**own, **{key: str(value) for key, value in variables.items()}},
        capture_output=True,
        text=True,
    )


def fake_python(path: Path, version: str) -> Path:
    path.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo Python {version}\nexit 1\n')
    path.chmod(0o755)
    return path


def test_unknown_stack(tmp_path):
    result = setup(MIMBENCH_STACK='nightly', MIMBENCH_VENV=tmp_path)
    assert result.returncode == 2
    assert "MIMBENCH_STACK is 'nightly'" in result.stderr


def test_a_folder_that_is_no_environment(tmp_path):
    tmp_path.joinpath('thesis.tex').touch()
    result = setup(MIMBENCH_VENV=tmp_path)
    assert result.returncode == 2
    assert 'is no virtual environment' in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ['thesis.tex']


def test_old_python(tmp_path):
    old = fake_python(tmp_path / 'python3', '3.9.1')
    result = setup(MIMBENCH_PYTHON=old, MIMBENCH_VENV=tmp_path / 'venv')
    assert result.returncode == 2
    assert 'Python 3.10 to 3.13 is needed; found: Python 3.9.1' in result.stderr
    assert not tmp_path.joinpath('venv').exists()


@pytest.fixture
def environment(tmp_path):
    """Looks like an environment that setup.sh made for the default stack."""
    bin_ = tmp_path / 'bin'
    bin_.mkdir()
    bin_.joinpath('python').symlink_to(sys.executable)
    tmp_path.joinpath('pyvenv.cfg').touch()
    tmp_path.joinpath('mimbench-setup.txt').write_text('onedl no-ops\n')
    return tmp_path


def test_one_stack_per_environment(environment):
    result = setup(MIMBENCH_STACK='upstream', MIMBENCH_VENV=environment)
    assert result.returncode == 2
    assert 'holds the onedl stack' in result.stderr


def test_an_environment_whose_python_is_gone(environment):
    environment.joinpath('bin', 'python').unlink()
    result = setup(MIMBENCH_VENV=environment)
    assert result.returncode == 2
    assert 'delete that folder and run again' in result.stderr
