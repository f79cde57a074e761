"""A small, repeatable part of tools/soak.sh."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != 'linux', reason='forks, and looks into /proc'),
]


def soak(module: str, *words: str) -> dict:
    """What a module of this folder prints; by itself, since it forks."""
    result = subprocess.run(
        [sys.executable, '-m', f'tests.soak.{module}', *words],
        cwd=ROOT, env={**os.environ, 'OMP_NUM_THREADS': '1'}, capture_output=True, text=True,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-3000:]
    return json.loads(result.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    'case', ['simmim-mid-1', 'beitv2-mid-0', 'vqkd-mid-2', 'segmentation-iter-1', 'tracking-iter-0']
)
def test_a_training_killed_at_random_ends_as_one_that_was_not(case: str) -> None:
    counts = soak('kills', '--case', case, '--kills', '2')
    assert counts['equal'] == counts['runs'] == 1
    assert counts['orphans'] == 0


def test_a_training_killed_at_each_operation_loses_nothing() -> None:
    (counts,) = soak('faults', '--layout', 'one kept').values()
    assert counts['equal'] == counts['killed'] > 10
    assert counts['noted'] > 5
