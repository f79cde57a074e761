"""`mimbench eval` as a user runs it."""

import json
import os
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from downstream.commands.eval import evaluate
from downstream.results.result import read_results
from mim_backbones.errors import UserError

QUICK = [
    *('--cfg-options', 'train_cfg.max_iters=2'),
    *('--cfg-options', 'train_dataloader.batch_size=2'),
]


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
def test_a_training_that_breaks_is_not_scored(world, weights, tmp_path):
    out = tmp_path / 'results'
    words = ['--cfg-options', 'optim_wrapper.optimizer.lr=1e30', '--cfg-options']
    done = mimbench(
        weights, '--data', world, '--out', out, '--tasks', 'segmentation', *QUICK, *words,
        'train_cfg.max_iters=9',
    )  # fmt: skip
    assert done.returncode == 1
    assert 'Traceback' not in done.stderr
    assert 'for the second time after iteration' in ' '.join(done.stderr.split())
    assert not list(out.glob('*.json'))
    (log,) = out.rglob('log.txt')
    assert 'weights and optimizer are again those of iteration 0' in log.read_text()


@pytest.mark.slow
def test_checkpoint_and_random_start_on_all_tasks(world, weights, tmp_path):
    out = tmp_path / 'results'
    words = [weights, 'random', '--data', world, '--out', out, '--jobs', 2, *QUICK, '--json']
    done = mimbench(*words)
    assert done.returncode == 0, done.stderr
    records = json.loads(done.stdout)
    assert len(records) == 8
    assert '[8/8]' in done.stderr
    assert not list((out / 'logs').rglob('*.pth'))

    stored = read_results(out)
    assert {(s.result.name, s.result.task) for s in stored} == {
        (name, task)
        for name in ('simmim', 'random init')
        for task in ('classification', 'detection', 'segmentation', 'tracking')
    }
    for each in stored:
        result = each.result
        assert set(result.cost) >= {
            'seconds', 'train_seconds', 'eval_seconds', 'peak_memory_mib',
            'train_images_per_second',
        }  # fmt: skip
        assert result.cost['peak_memory_mib'] > 100
        assert result.units
        pictures = {'tracking': ('curves', 'tracks', 'confidence'), 'classification': ()}
        drawn = pictures.get(result.task, ('',))
        assert len(result.pictures) == len(drawn)
        assert all(kind in name for kind, name in zip(drawn, result.pictures, strict=True))
        assert result.architecture == 'MIMViT 48x4/8'
        assert result.changes == {'train_cfg.max_iters': 2, 'train_dataloader.batch_size': 2}
        assert result.run['steps'] == 2
        assert result.run['images_per_step'] == 2
        assert result.run['command'].startswith('mimbench eval ')
        assert result.run['cpu']
        assert datetime.fromisoformat(result.run['date']).tzinfo
    for task in ('classification', 'detection', 'segmentation', 'tracking'):
        found = [each.result for each in stored if each.result.task == task]
        assert len({(r.protocol_sha256, r.backbone_sha256, r.config_sha256) for r in found}) == 1
    shown = mimbench(*words[:-1])  # without --json: the table, and only it
    assert shown.stdout.count('train_cfg.max_iters=2') == 8
    assert 'mask AP' in shown.stdout

    again = mimbench(*words)
    assert again.returncode == 0, again.stderr
    assert again.stderr.count('already there') == 8
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
    assert 'tracking' in done.stdout
    assert 'failed' not in done.stdout


@pytest.mark.slow
def test_boxes_without_masks_give_box_ap_and_it_is_said(world, weights, tmp_path):
    data, out = tmp_path / 'world', tmp_path / 'results'
    shutil.copytree(world, data)
    for file in (data / 'coco' / 'annotations').iterdir():
        content = json.loads(file.read_text())
        for annotation in content['annotations']:
            del annotation['segmentation']
        file.write_text(json.dumps(content))
    words = ('--data', data, '--out', out, '--tasks', 'detection', *QUICK)
    done = mimbench(weights, *words)
    assert done.returncode == 0, done.stderr
    assert 'detection: boxes alone are trained and scored' in done.stderr
    (stored,) = read_results(out)
    assert stored.result.primary == 'box_mAP'
    assert not any(key.startswith('mask') for key in stored.result.metrics)
    assert mimbench(weights, *words).stderr.count('already there') == 1


@pytest.mark.parametrize(
    'damage', ['missing', 'truncated', 'broken', 'data', 'layout', 'out', 'tier', 'steps', 'batch']
)
def test_bad_input_is_one_line_before_anything_is_trained(world, weights, tmp_path, damage):
    out = tmp_path / 'results'
    words = {'ckpt': weights, 'data': world, 'out': out, 'tier': 'smoke'}
    if damage == 'missing':
        words['ckpt'] = tmp_path / 'none.pth'
    if damage == 'truncated':
        words['ckpt'] = tmp_path / 'cut.pth'
        words['ckpt'].write_bytes(Path(weights).read_bytes()[:3000])
    if damage == 'broken':
        words['ckpt'] = tmp_path / 'nan.pth'
        content = torch.load(weights, weights_only=True)
        content['state_dict']['backbone.norm.weight'][3] = float('nan')
        torch.save(content, words['ckpt'])
    if damage == 'data':
        words['data'] = tmp_path / 'none.yaml'
    if damage == 'layout':
        words['data'] = tmp_path / 'data.yaml'
        words['data'].write_text(f'detection: {{root: {world / "coco"}, train_images: gone}}')
    if damage == 'out':
        out.write_text('a file where the folder should be')
    if damage == 'tier':
        words['tier'] = 'full'  # of named sizes
    found = CliRunner().invoke(
        evaluate,
        [str(words['ckpt']), '--data', str(words['data']), '--out', str(words['out']),
         '--tasks', 'detection', '--tier', words['tier'],
         *{'steps': ['--cfg-options', 'train_cfg.max_iters=0'],
           'batch': ['--cfg-options', 'train_dataloader.batch_size=0']}.get(damage, [])],
    )  # fmt: skip
    assert isinstance(found.exception, UserError), found.output
    assert '\n' not in str(found.exception)
    named = {'missing': 'none.pth', 'truncated': 'cut.pth', 'data': 'none.yaml',
             'layout': 'gone', 'out': 'results', 'tier': "tier 'full'", 'broken': 'NaN',
             'steps': 'max_iters=0', 'batch': 'batch_size=0'}  # fmt: skip
    assert named[damage] in str(found.exception)
    assert not (out / 'logs').exists()


def test_the_command_turns_it_into_exit_code_2(tmp_path):
    done = mimbench('none.pth', '--data', tmp_path, '--out', tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith('mimbench: error: ')
    assert done.stderr.count('\n') == 1


@pytest.fixture
def heard(monkeypatch):
    """(words...) -> what the command makes of them."""

    def hear(*words):
        requests = []
        monkeypatch.setattr(
            'downstream.evaluation.run.evaluate_all',
            lambda request: requests.append(request) or ([], {}),
        )
        done = CliRunner().invoke(evaluate, [*words, '--data', 'd', '--out', 'o'])
        assert done.exit_code == 0, done.output
        return requests[0]

    return hear


@pytest.mark.parametrize('words', [
    ['a.pth', 'random', '--tasks', 'coco', 'lasot'],
    ['--tasks', 'coco,lasot', 'a.pth', 'random'],
    ['--tasks', 'coco', '--tasks', 'detection,tracking', 'a.pth', 'random'],
    ['a.pth', 'coco', 'random', 'tracking'],
])  # fmt: skip
def test_words_that_name_tasks(heard, words):
    request = heard(*words)
    assert request.sources == ('a.pth', 'random')
    assert request.tasks == ('detection', 'tracking')


def test_a_file_called_as_a_task_is_a_file(heard, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path('coco').touch()
    assert heard('coco', '--tasks', 'lasot').sources == ('coco',)
    assert heard('coco', '--tasks', 'lasot').tasks == ('tracking',)


def test_options(heard):
    request = heard(
        'a.pth', '--cfg-options', 'a.b=1', '--cfg-options', 'c.d=x', '--seed', '1', '--seed', '1',
        '--backbone', 'num_heads=3', '--backbone', 'a:grid=(2, 3)', '--gpus-per-job', '2',
    )  # fmt: skip
    assert request.options == {'a.b': 1, 'c.d': 'x'}
    assert request.backbone == {'num_heads': 3, 'a:grid': (2, 3)}
    assert request.seeds == (1,)
    assert request.processes == 2
    assert request.tasks == ()


@pytest.mark.parametrize('words', [
    ['--tasks', 'pose'], ['--tier', 'gold'], ['--protocol', 'mask-rnn'],
])  # fmt: skip
def test_unknown_words_are_named(words):
    done = CliRunner().invoke(evaluate, ['a.pth', '--data', 'd', '--out', 'o', *words])
    assert done.exit_code == 2
    assert f'{words[1]!r}' in done.output
    assert 'known: ' in done.output


def test_an_incomplete_task_is_refused_before_anything_else(world, weights, tmp_path, monkeypatch):
    from downstream.evaluation.plan import Request
    from downstream.evaluation.run import evaluate_all

    def incomplete():
        raise UserError("task 'depth' (my.depth:TASK) has no run; see docs/extending.md")

    monkeypatch.setattr('downstream.evaluation.run.tasks', incomplete)
    with pytest.raises(UserError, match="task 'depth'"):
        evaluate_all(Request((str(weights),), world, tmp_path / 'out', ('detection',)))
    assert not (tmp_path / 'out').exists()
