"""`mimbench eval --rehearse` as a user runs it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def rehearse(*words: object) -> subprocess.CompletedProcess:
    command = 'from mim_backbones.console.cli import main; main()'
    return subprocess.run(
        [sys.executable, '-c', command, 'eval', *map(str, words), '--rehearse'],
        capture_output=True,
        text=True,
        env={**os.environ, 'OMP_NUM_THREADS': '1'},
        check=False,
    )


def test_all_tasks_are_measured_and_nothing_is_left(world, weights, tmp_path) -> None:
    out = tmp_path / 'results'
    done = rehearse(weights, '--data', world, '--out', out, '--seed', 0, '--seed', 1, '--json')
    assert done.returncode == 0, done.stderr
    assert not out.exists()
    found = json.loads(done.stdout)
    assert {one['task'] for one in found['jobs']} == {
        'classification',
        'detection',
        'segmentation',
        'tracking',
    }
    for one in found['jobs']:
        assert one['ok'] and one['count'] == 2
        assert one['host_bytes'] > 10**8
        assert one['seconds_per_step'] > 0 and one['seconds_per_image'] > 0
        assert one['steps'] >= 250 and one['hours'] > 0
        assert one['checkpoint_bytes'] > 10**5
    assert found['hours'] > max(one['hours'] for one in found['jobs'])
    assert found['failures'] == {}


def test_what_fails_is_one_line_and_the_others_go_on(world, weights, tmp_path) -> None:
    """A checkpoint cut short, and label values beyond the classes."""
    import cv2
    import numpy as np

    data, out = tmp_path / 'world', tmp_path / 'results'
    shutil.copytree(world, data)
    for path in (data / 'ade' / 'ADEChallengeData2016' / 'annotations' / 'validation').iterdir():
        cv2.imwrite(str(path), np.full_like(cv2.imread(str(path), 0), 77))
    (tmp_path / 'cut.pth').write_bytes(Path(weights).read_bytes()[:3000])
    done = rehearse(
        tmp_path / 'cut.pth', weights, '--data', data, '--out', out,
        '--tasks', 'segmentation', 'tracking',
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert 'Traceback' not in done.stderr + done.stdout
    lines = done.stdout.splitlines()
    assert any(line.startswith('cut: ') for line in lines), done.stdout
    assert any(line.startswith('segmentation: label map') for line in lines), done.stdout
    assert any('tracking one-stream-vit-smoke' in line and ' ok ' in line for line in lines)
    assert not list(out.glob('*.json'))
    assert not list(out.rglob('*.pth'))
