"""`mimbench eval` as a user runs it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from downstream.commands.eval import evaluate, task_names
from downstream.results.result import read_results
from mim_backbones.console.options import parse_options
from mim_backbones.errors import UserError

QUICK = ['--cfg-options', 'train_cfg.max_iters=2', 'train_dataloader.batch_size=2']


def mimbench(*words: object) -> subprocess.CompletedProcess:
    command = 'from mim_backbones.console.cli import main; main()'
    return subprocess.run(
        [sys.executable, '-c', command, 'eval', *map(str, words)],
        capture_output=True,
        text=True,
        env={**os.environ, 'OMP_NUM_THREADS': '1'},
        check=False,
    )


@pytest.mark.slow
def test_checkpoint_and_random_start_on_all_tasks(world, weights, tmp_path):
    out = tmp_path / 'results'
    words = [weights, 'random', '--data', world, '--out', out, '--jobs', 2, *QUICK, '--json']
    done = mimbench(*words)
    assert done.returncode == 0, done.stderr
    records = json.loads(done.stdout)
    assert len(records) == 6
    assert '[6/6]' in done.stderr

    stored = read_results(out)
    assert {(s.result.name, s.result.task) for s in stored} == {
        (name, task)
        for name in ('simmim', 'random init')
        for task in ('detection', 'segmentation', 'tracking')
    }
    for each in stored:
        result = each.result
        assert set(result.cost) >= {
            'seconds', 'train_seconds', 'eval_seconds', 'peak_memory_mib',
            'train_images_per_second',
        }  # fmt: skip
        assert result.cost['peak_memory_mib'] > 100
        assert result.units
        assert len(result.pictures) == 1
        assert result.architecture == 'MIMViT 48x4/8'

    again = mimbench(*words)
    assert again.returncode == 0, again.stderr
    assert again.stderr.count('already there') == 6
    assert json.loads(again.stdout) == records


@pytest.mark.slow
def test_one_failed_job_is_one_line_and_the_others_are_there(world, weights, tmp_path):
    data, out = tmp_path / 'world', tmp_path / 'results'
    shutil.copytree(world, data)
    images = data / 'ade' / 'ADEChallengeData2016' / 'images' / 'training'
    for path in images.iterdir():
        path.write_bytes(path.read_bytes()[:30])
    done = mimbench(
        weights, '--data', data, '--out', out, '--tasks', 'segmentation', 'tracking', *QUICK
    )
    assert done.returncode == 1
    (failed,) = (line for line in done.stderr.splitlines() if 'failed: ' in line)
    assert '1 of 8 training images cannot be decoded' in failed
    assert str(images) in failed
    assert 'Traceback' not in done.stderr
    assert [stored.result.task for stored in read_results(out)] == ['tracking']


@pytest.mark.parametrize('damage', ['missing', 'truncated', 'data', 'layout', 'out', 'tier'])
def test_bad_input_is_one_line_before_anything_is_trained(world, weights, tmp_path, damage):
    out = tmp_path / 'results'
    words = {'ckpt': weights, 'data': world, 'out': out, 'tier': 'smoke'}
    if damage == 'missing':
        words['ckpt'] = tmp_path / 'none.pth'
    if damage == 'truncated':
        words['ckpt'] = tmp_path / 'cut.pth'
        words['ckpt'].write_bytes(Path(weights).read_bytes()[:3000])
    if damage == 'data':
        words['data'] = tmp_path / 'none.yaml'
    if damage == 'layout':
        words['data'] = tmp_path / 'data.yaml'
        words['data'].write_text(f'detection: {{root: {world}, train_images: gone}}')
    if damage == 'out':
        out.write_text('a file where the folder should be')
    if damage == 'tier':
        words['tier'] = 'gold'
    found = CliRunner().invoke(
        evaluate,
        [str(words['ckpt']), '--data', str(words['data']), '--out', str(words['out']),
         '--tasks', 'detection', '--tier', words['tier']],
    )  # fmt: skip
    assert isinstance(found.exception, UserError), found.output
    assert '\n' not in str(found.exception)
    named = {'missing': 'none.pth', 'truncated': 'cut.pth', 'data': 'none.yaml',
             'layout': 'gone', 'out': 'results', 'tier': 'gold'}  # fmt: skip
    assert named[damage] in str(found.exception)
    assert not (out / 'logs').exists()


def test_the_command_turns_it_into_exit_code_2(tmp_path):
    done = mimbench('none.pth', '--data', tmp_path, '--out', tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith('mimbench: error: ')
    assert done.stderr.count('\n') == 1


@pytest.mark.parametrize(
    'words',
    [
        ['a.pth', '--tasks', 'coco', 'lasot', 'random', '--cfg-options', 'a.b=1', 'c.d=x'],
        [
            '--tasks',
            'coco,lasot',
            '--cfg-options',
            'a.b=1',
            '--cfg-options',
            'c.d=x',
            'a.pth',
            'random',
        ],
        ['--cfg-options', 'a.b=1', 'c.d=x', '--tasks', 'detection', 'tracking', 'a.pth', 'random'],
    ],
)
def test_lists_of_words(monkeypatch, words):
    heard = {}

    def evaluate_all(**given):
        heard.update(given)
        return True, []

    monkeypatch.setattr('downstream.evaluation.run.evaluate_all', evaluate_all)
    done = CliRunner().invoke(evaluate, [*words, '--data', 'd', '--out', 'o'])
    assert done.exit_code == 0, done.output
    assert heard['sources'] == ('a.pth', 'random')
    assert heard['tasks'] == ('detection', 'tracking')
    assert heard['options'] == {'a.b': 1, 'c.d': 'x'}


def test_task_names_and_options():
    assert task_names(('coco,ade20k', 'detection')) == ('detection', 'segmentation')
    with pytest.raises(UserError, match="'pose'"):
        task_names(('pose',))
    assert parse_options(('a.b=[1, 2]', 'c.d=true')) == {'a.b': [1, 2], 'c.d': True}
    with pytest.raises(UserError, match='KEY=VALUE'):
        parse_options(('a.b',))
