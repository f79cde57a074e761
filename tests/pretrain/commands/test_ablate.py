"""`mimbench ablate` as a user runs it."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from mim_backbones import save_backbone
from mim_backbones.console.recipes import recipes_root
from mim_backbones.errors import UserError
from mim_backbones.registry import MODELS
from mim_backbones.training.config import open_config
from pretrain.ablation import run
from pretrain.ablation.pretraining import Outcome
from pretrain.commands.ablate import ablate, pick

ENVIRONMENT = {**os.environ, 'OMP_NUM_THREADS': '1'}


@pytest.fixture(scope='module')
def world(tmp_path_factory) -> Path:
    """The smallest synthetic world, as its command writes it: this package imports no other."""
    folder = tmp_path_factory.mktemp('worlds') / 'tiny'
    command = [
        sys.executable,
        '-m',
        'mim_backbones.console.cli',
        'synth',
        str(folder),
        '--size',
        'tiny',
    ]
    subprocess.run(command, check=True, env=ENVIRONMENT, capture_output=True)
    return folder


@pytest.fixture
def pretended(monkeypatch, tmp_path):
    """No process is started: rows 'train' unless named in `fails`; other commands are recorded."""
    heard: dict[str, Any] = {'fails': [], 'unmeasured': [], 'trained': [], 'commands': []}
    heard['save'] = Path.touch

    def pretrain_rows(trainings, parallel, tick, ended):
        return [outcome_of(training) for training in trainings]

    def outcome_of(training):
        row = training.row
        if row.name in heard['fails']:
            return Outcome(training, None, 'no space left (log: x)')
        heard['trained'].append(row.name)
        row.work_dir.mkdir(parents=True)
        checkpoint = row.work_dir / 'epoch_14.pth'
        heard['save'](checkpoint)
        (row.work_dir / 'last_checkpoint').write_text(str(checkpoint))
        (row.work_dir / 'reconstructions').mkdir()
        (row.work_dir / 'reconstructions' / 'epoch_14.png').touch()
        return Outcome(training, row.finish(training.settings.steps, 1.0), None)

    def mimbench(*words):
        heard['commands'].append(words)
        if words[0] == 'eval':
            out = Path(words[words.index('--out') + 1])
            out.mkdir(parents=True, exist_ok=True)
            names = [word.partition('=')[0] for word in words if '.pth' in word]
            for name in set(names) - set(heard['unmeasured']):
                (out / f'{name}.json').write_text(json.dumps({'name': name}))
        return True

    monkeypatch.setattr(run, 'pretrain_rows', pretrain_rows)
    monkeypatch.setattr(run, 'mimbench', mimbench)
    return heard


def invoke(*words: object) -> tuple[int, dict]:
    done = CliRunner().invoke(ablate, [*map(str, words), '--json'])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, json.loads(done.output[done.output.index('{') :])


def test_rows_are_trained_evaluated_and_reported_once(pretended, world, tmp_path) -> None:
    words = ['simmim', '--axis', 'mask_ratio', '--data', world, '--out', tmp_path]
    code, record = invoke(*words, '--steps', 20, '--finetune-steps', 5)
    assert code == 0
    rows = ['ratio_0.2', 'ratio_0.4', 'ratio_0.6', 'ratio_0.8']
    assert pretended['trained'] == [row['row'] for row in record['rows']] == rows
    assert record['rows'][2]['published'] == {'value': 82.8, 'status': 'read'}
    assert record['rows'][0]['published'] is None

    evaluation, report = pretended['commands']
    assert evaluation[1].startswith('ratio_0.2=')
    assert evaluation[evaluation.index('--tasks') + 1] == 'detection,segmentation'
    assert evaluation[-1] == 'train_cfg.max_iters=5'
    assert report[report.index('--baseline') + 1] == 'ratio_0.6'
    assert report[report.index('--order') + 1] == ','.join(rows)
    assert sum(word.endswith('reconstructions/epoch_14.png') for word in report) == 4
    with open(report[report.index('--beside') + 1], newline='') as stream:
        figures = {line['checkpoint']: line for line in csv.DictReader(stream)}
    assert figures['ratio_0.6']['value'] == '82.8'
    assert figures['ratio_0.6']['status'] == 'read'
    assert figures['ratio_0.4']['value'] == ''

    said = report[report.index('--note') + 1]
    assert said.endswith('ratio_0.2 25%, ratio_0.4 44%, ratio_0.6 62%, ratio_0.8 81%.')
    remark = (
        'Shortened: 20 pre-training steps in place of 400, 5 fine-tuning steps in place of the '
        "protocol's."
    )
    assert remark in said and record['note'] == remark

    invoke(*words, '--steps', 20, '--finetune-steps', 5)
    assert pretended['trained'] == rows
    with pytest.raises(UserError, match=r'ratio_0\.2 with steps \d+, not \d+;'):
        invoke(*words, '--steps', 200)


def test_seeds_are_rows_of_their_own(pretended, world, tmp_path) -> None:
    words = ['simmim', '--axis', 'area', '--data', world, '--out', tmp_path]
    code, record = invoke(*words, '--seed', 1, '--seed', 2)
    assert code == 0
    found = [(row['row'], row['seed']) for row in record['rows']]
    assert found == [('area_masked', 1), ('area_all', 1), ('area_masked', 2), ('area_all', 2)]
    first, second, report = pretended['commands']
    for command, seed in ((first, '1'), (second, '2')):
        assert command[command.index('--seed') + 1] == seed
        assert f'seed{seed}' in command[1]
    assert report[report.index('--order') + 1] == 'area_masked,area_all'
    assert '--by-name' in report  # each seed's checkpoint is another file


def test_a_row_that_fails_does_not_stop_the_others(pretended, world, tmp_path) -> None:
    pretended['fails'] = ['area_masked']
    code, record = invoke('simmim', '--axis', 'area', '--data', world, '--out', tmp_path)
    assert code == 1
    assert pretended['trained'] == ['area_all']
    assert [row['failure'] for row in record['rows']] == ['no space left (log: x)', None]
    report = pretended['commands'][1]
    assert '--baseline' not in report  # it is the row that failed
    assert 'Hidden here' not in report[report.index('--note') + 1]  # the same in both rows


@pytest.fixture
def backbones(pretended, monkeypatch):
    """Rows of the study of Img2Vec leave a backbone of their student's sizes, and have scores."""
    backbone = MODELS.build(open_config(recipes_root() / 'pretrain/img2vec_demo.py').model.backbone)
    pretended['save'] = lambda path: save_backbone(backbone, path)
    line = {'task': 'segmentation', 'protocol': 'p', 'protocol_version': '1', 'metric_name': 'mIoU',
            'low': None, 'high': None}  # fmt: skip
    names = ('norm_pix', 'pixels', 'random_vit', 'pretrained_vit')
    scores = {name: {**line, 'value': 9.0 + place} for place, name in enumerate(names)}
    monkeypatch.setattr(run, 'read_scores', lambda folder, names: [scores])
    return pretended


def test_a_row_learns_from_another_and_diversity_stands_beside(backbones, world, tmp_path) -> None:
    words = ['img2vec', '--axis', 'teacher', '--data', world, '--out', tmp_path, '--seed', 3,
             '--rows', 'pretrained_vit,random_vit,pixels', '--seed', 4]  # fmt: skip
    code, record = invoke(*words)
    assert code == 0
    # What the first row needs is trained too, and before it, for each seed.
    first = ['norm_pix', 'random_vit', 'pixels']
    assert backbones['trained'] == [*first, *first, 'pretrained_vit', 'pretrained_vit']
    rows = {(row['row'], row['seed']): row for row in record['rows']}
    assert [name for name, seed in rows if seed == 3] == [
        'norm_pix', 'pretrained_vit', 'random_vit', 'pixels',
    ]  # fmt: skip
    for seed in (3, 4):
        config = open_config(tmp_path / f'teacher/rows/pretrained_vit/seed{seed}/config.py')
        assert config.model.target.teacher.checkpoint == rows['norm_pix', seed]['checkpoint']

    assert record['diversity'].keys() == {name for name, _ in rows}
    diversity = record['diversity']['norm_pix']
    assert 0 < diversity['mean'] < 1.1 and diversity['deviation'] > 0
    report = backbones['commands'][-1]
    with open(report[report.index('--beside') + 1], newline='') as stream:
        beside = {line['checkpoint']: line for line in csv.DictReader(stream)}
    assert beside['norm_pix']['value'] == f'{diversity["mean"]:.3f}'
    assert beside['norm_pix']['status'] == 'measured'
    assert beside['norm_pix']['source'].endswith(' over 24 images, seed 3')
    picture = next(word for word in report if word.startswith('Token diversity of the targets='))
    with Image.open(picture.partition('=')[2]) as drawn:
        assert drawn.size[0] > drawn.size[1]
    said = report[report.index('--note') + 1]
    assert record['against'] == [said[said.index('Spearman') :].removesuffix('.')]
    assert 'over 4 teachers' in said


def test_a_row_whose_teacher_failed_fails_too(backbones, world, tmp_path) -> None:
    backbones['fails'] = ['norm_pix']
    words = ['img2vec', '--axis', 'teacher', '--data', world, '--out', tmp_path]
    code, record = invoke(*words, '--rows', 'pretrained_vit,pixels')
    assert code == 1
    assert backbones['trained'] == ['pixels']
    assert {row['row']: row['failure'] for row in record['rows']} == {
        'norm_pix': 'no space left (log: x)',
        'pretrained_vit': 'needs norm_pix, which failed',
        'pixels': None,
    }
    assert record['diversity'].keys() == {'pixels'}


def test_a_row_without_a_result_does_not_spoil_the_report(pretended, world, tmp_path) -> None:
    pretended['unmeasured'] = ['area_masked']
    invoke('simmim', '--axis', 'area', '--data', world, '--out', tmp_path)
    report = pretended['commands'][1]
    assert report[report.index('--order') + 1] == 'area_all'
    assert '--baseline' not in report


def test_a_file_that_the_target_reads_counts(pretended, world, tmp_path, monkeypatch) -> None:
    """It is looked for where the user is, and another one of that name makes another row."""
    monkeypatch.chdir(tmp_path)
    words = ['simmim', '--axis', 'target', '--rows', 'target_clusters_512', '--data', world,
             '--out', tmp_path / 'out']  # fmt: skip
    palette = tmp_path / 'data' / 'palette_512.json'
    palette.parent.mkdir()
    palette.write_text('one')
    assert invoke(*words)[0] == 0
    assert invoke(*words)[0] == 0
    palette.write_text('another')
    with pytest.raises(UserError, match='target_clusters_512 with another recipe'):
        invoke(*words)


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['beit'], "method: no 'beit'; choose from"),
        (['simmim'], '--axis: not given; choose from mask_strategy'),
        (['simmim', '--axis', 'area', '--tier', 'full'], "--tier: no 'full'; choose from smoke"),
        (
            ['simmim', '--axis', 'area', '--rows', 'all'],
            "--rows: no 'all'; choose from area_masked",
        ),
        (
            ['simmim', '--axis', 'area', '--tasks', 'pose'],
            "--tasks: no 'pose'; choose from classif",
        ),
        (['simmim', '--axis', 'area', '--data', '/none'], 'data file /none does not exist'),
    ],
)
def test_mistakes_are_one_line_and_train_nothing(pretended, tmp_path, words, message) -> None:
    with pytest.raises(UserError) as caught:
        invoke(*words, '--out', tmp_path)
    assert str(caught.value).startswith(message)
    assert '\n' not in str(caught.value)
    assert not any(tmp_path.iterdir())


def test_pick() -> None:
    assert pick('--rows', 'b, a,b', ('a', 'b')) == ('b', 'a')
    with pytest.raises(UserError, match='--rows: no'):
        pick('--rows', ',', ('a',))


def for_real(*words: object) -> tuple[dict, str]:
    """What `mimbench ablate` printed as JSON, and its report as Markdown."""
    command = 'import sys; from pretrain.commands.ablate import ablate; ablate(sys.argv[1:])'
    shortened = ('--tasks', 'segmentation', '--steps', 3, '--finetune-steps', 2, '--json')
    done = subprocess.run(
        [sys.executable, '-c', command, *map(str, (*words, *shortened))],
        capture_output=True, text=True, env=ENVIRONMENT, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    record = json.loads(done.stdout)
    return record, Path(record['report']).with_suffix('.md').read_text()


@pytest.mark.slow
def test_a_row_for_real(world, tmp_path) -> None:
    words = ['simmim', '--axis', 'area', '--rows', 'area_all', '--data', world, '--out', tmp_path]
    record, text = for_real(*words)
    assert Path(record['rows'][0]['checkpoint']).is_file()
    assert '| area_all | 81.7 (recalled) |' in text
    assert '*area_all*' in text  # its reconstructions
    assert 'Shortened: 3 pre-training steps in place of 400' in text
    saved = torch.load(record['rows'][0]['checkpoint'], weights_only=False)
    assert saved['meta']['iter'] == 3
    assert saved['meta']['mimbench']['note'].startswith('Shortened: 3 pre-training')


@pytest.mark.slow
def test_a_backbone_trained_here_teaches_for_real(world, tmp_path) -> None:
    words = ['img2vec', '--axis', 'teacher', '--rows', 'pretrained_vit', '--data', world]
    record, text = for_real(*words, '--out', tmp_path)
    assert [row['row'] for row in record['rows']] == ['norm_pix', 'pretrained_vit']
    saved = torch.load(record['rows'][1]['checkpoint'], weights_only=False)
    teacher = saved['meta']['mimbench']['model']['target']['teacher']
    assert teacher['checkpoint'] == record['rows'][0]['checkpoint']
    assert saved['state_dict']['target.fingerprint'].any()
    for name, diversity in record['diversity'].items():
        assert f'| {name} | {diversity["mean"]:.3f} |' in text
    assert '*Token diversity of the targets*' in text
    assert record['against'] == ['2 teachers: too few to say anything, it takes 4']
