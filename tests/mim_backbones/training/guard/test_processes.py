"""Processes go back together, though one alone has the number that breaks the model."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[4]
NAMED = {'output': 'is the output of middle (Middle);', 'buffer': 'middle.seen is not finite at'}


@pytest.fixture(scope='module')
def out(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('two')
    script = ROOT / 'tests/mim_backbones/training/guard/two_processes.py'
    words = ['-m', 'torch.distributed.run', '--standalone', '--nproc-per-node=2', str(script),
             str(folder)]  # fmt: skip
    environment = {**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'}
    result = subprocess.run([sys.executable, *words], env=environment, capture_output=True,
                            text=True, timeout=300)  # fmt: skip
    assert result.returncode == 0, result.stderr[-3000:]
    return folder


@pytest.mark.parametrize('breaks', NAMED)
def test_both_go_back_to_the_same_and_stop_in_the_same_words(out: Path, breaks: str) -> None:
    (one, at, said), (two, *of_two) = (torch.load(out / breaks / f'{n}.pth') for n in (0, 1))
    assert of_two == [at, said]
    assert at == 2
    assert one.pop('mask') == two.pop('mask')
    for name, value in one.items():
        assert value.isfinite().all()
        assert torch.equal(value, two[name]), name
    assert 'for the second time after iteration 2' in said
    assert NAMED[breaks] in said
