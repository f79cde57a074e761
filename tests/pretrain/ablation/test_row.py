"""A row's files: what is trained already, what may not be mixed, how far it is."""

import copy
import sys
from dataclasses import replace

import pytest
import torch
from mmengine.config import Config

from mim_backbones.console.recipes import recipes_root
from mim_backbones.errors import UserError
from mim_backbones.training.config import read_config
from mim_backbones.training.launch import build_runner
from pretrain.ablation import pretraining
from pretrain.ablation.pretraining import Training, pretrain_rows, training_command
from pretrain.ablation.row import Row, Settings, budget
from pretrain.ablation.study import find_study
from tests.pretrain.small import METHODS, recipe, write_blobs

SETTINGS = Settings(config='c0ffee', steps=28, seed=3, data='/images')


@pytest.fixture
def row(tmp_path):
    study = find_study('simmim')
    return Row(study, study.tiers['smoke'], 'ratio_0.2', tmp_path / 'ratio_0.2')


def test_the_demo_with_a_row_of_the_paper(row) -> None:
    cfg = row.resolved()
    assert cfg.train_dataloader.dataset.masker.ratio == 0.2
    assert cfg.model.backbone.type == 'mim_backbones.MIMViT'


def test_finished_rows_are_found_and_others_trained(row) -> None:
    assert row.open(SETTINGS) is None
    checkpoint = row.work_dir / 'epoch_14.pth'
    checkpoint.parent.mkdir()
    checkpoint.touch()
    (row.work_dir / 'last_checkpoint').write_text(str(checkpoint))
    finished = row.finish(28, 12.34)
    assert (finished.checkpoint, finished.steps, finished.seconds) == (str(checkpoint), 28, 12.3)
    assert row.open(SETTINGS) == finished
    checkpoint.unlink()
    assert row.open(SETTINGS) is None


def test_other_settings_in_the_same_folder_are_refused(row) -> None:
    row.open(SETTINGS)
    with pytest.raises(UserError, match=r'ratio_0\.2 with steps 28, not 14; give another --out'):
        row.open(replace(SETTINGS, steps=14))
    with pytest.raises(UserError, match='with another recipe'):
        row.open(replace(SETTINGS, config='beef'))


def test_progress_is_read_from_a_log_that_grows(row) -> None:
    training = Training(row, replace(SETTINGS, steps=100))
    assert training.stand() == ('ratio_0.2, seed 3', 0.0, 'starts')
    log = row.work_dir / '20260101' / 'vis_data' / 'scalars.json'
    log.parent.mkdir(parents=True)
    log.write_text(
        '{"time": 1.0, "step": 25}\n{"time": 1.5, "step": 50}\n{"usage": 0.3, "step": 50}\n'
        '{"time": 2.0, "st'
    )
    assert training.stand() == ('ratio_0.2, seed 3', 0.5, 'pre-train 50/100, 1:15 left')


def test_the_file_says_everything_and_is_noted(row) -> None:
    row.open(SETTINGS, note='Shortened: a little.')
    words = training_command(row)
    assert words[-4:] == [str(row.config), '--work-dir', str(row.work_dir), '--resume']
    cfg = read_config(row.config)
    assert cfg.train_cfg.max_epochs == 7  # the largest number up to 10 that divides 28
    assert cfg.train_dataloader.sampler.samples_per_epoch == 4 * cfg.train_dataloader.batch_size
    assert (cfg.train_dataloader.sampler.seed, cfg.randomness.seed) == (3, 3)
    assert cfg.train_dataloader.dataset.root == '/images'
    (record,) = (hook for hook in cfg.custom_hooks if hook.type == 'MethodRecord')
    assert record.note == 'Shortened: a little.'


def test_the_checkpoint_of_another_row_goes_where_it_belongs(tmp_path) -> None:
    """Into the row's own target, and not into the study that other seeds are made from."""
    study = find_study('img2vec')
    key = 'model.target.teacher.checkpoint'
    for seed in (0, 1):
        checkpoint = str(tmp_path / f'{seed}.pth')
        folder, given = tmp_path / f'seed{seed}', {key: checkpoint}
        row = Row(study, study.tiers['smoke'], 'pretrained_vit', folder, given)
        row.open(replace(SETTINGS, seed=seed))
        for cfg in (row.resolved(), Config.fromfile(row.config)):
            assert cfg.model.target.teacher.checkpoint == checkpoint
            assert cfg.model.target.norm == 'layer'
    assert (
        'checkpoint' not in study.axes['teacher'].rows['pretrained_vit']['model.target']['teacher']
    )


@pytest.mark.parametrize('steps', [1, 3, 7, 20, 401])
@pytest.mark.parametrize('recipe', ['simmim', 'simmim_demo', 'simmim_swin-b_800e', 'beitv2'])
def test_a_budget_is_exact_and_moves_the_schedule(recipe: str, steps: int) -> None:
    cfg = Config.fromfile(recipes_root() / f'pretrain/{recipe}.py')
    before = cfg.train_cfg.max_epochs
    found = budget(cfg, steps)
    epochs = found['train_cfg.max_epochs']
    batch = cfg.auto_scale_lr.base_batch_size
    length, rest = divmod(found['train_dataloader.sampler.samples_per_epoch'], batch)
    assert rest == 0 and length * epochs == steps and epochs <= before
    for new, old in zip(found['param_scheduler'], cfg.param_scheduler, strict=True):
        assert new['warmup'] / epochs == pytest.approx(old.warmup / before)
        assert {**new, 'warmup': 0, 'milestones': 0} == {**old, 'warmup': 0, 'milestones': 0}


def test_a_budget_counts_steps_of_the_optimizer() -> None:
    cfg = Config.fromfile(recipes_root() / 'pretrain/simmim_demo.py')
    cfg.optim_wrapper.accumulative_counts = 4
    found = budget(cfg, 5)
    samples = found['train_dataloader.sampler.samples_per_epoch'] * found['train_cfg.max_epochs']
    assert samples == 5 * 4 * cfg.train_dataloader.batch_size
    cfg.param_scheduler[0].by_epoch = False
    with pytest.raises(UserError, match='counts iterations, which a budget'):
        budget(cfg, 5)


def test_exactly_so_many_steps_run_and_the_rate_ends_low(tmp_path) -> None:
    """`ablate --pretrain-steps 3` used to run 10."""
    cfg = recipe(METHODS['SimMIM'], write_blobs(tmp_path / 'images'), tmp_path / 'run', epochs=10)
    cfg.param_scheduler = [dict(type='mim_backbones.WarmupCosineLR', warmup=1, min_ratio=0.01,
                                convert_to_iter_based=True)]  # fmt: skip
    rates = []
    for steps in (3, 12):
        short = copy.deepcopy(cfg)
        short.merge_from_dict(budget(short, steps))
        short.experiment_name = short.visualizer.name = f'steps_{steps}'
        runner = build_runner(short)
        runner.train()
        assert runner.iter == steps
        rates.append(runner.optim_wrapper.get_lr()['lr'][0] / 2e-3)
        saved = torch.load(tmp_path / 'run' / f'epoch_{runner.epoch}.pth', weights_only=False)
        assert saved['meta']['mimbench']['steps'] == steps
    assert rates[0] < 0.3 and rates[1] < 0.1


@pytest.mark.parametrize(
    ('script', 'why'),
    [
        ('import sys; print("noise"); sys.exit("mimbench: error: no space left")', 'no space left'),
        (
            'import os; print("step 5", flush=True); os.kill(os.getpid(), 9)',
            'ended by signal SIGKILL, out of memory perhaps',
        ),
    ],
)
def test_a_row_that_fails_says_why_and_where(row, monkeypatch, script, why) -> None:
    row.open(SETTINGS)
    command = [sys.executable, '-c', script]
    monkeypatch.setattr(pretraining, 'training_command', lambda row: command)
    heard: list = []
    (outcome,) = pretrain_rows([Training(row, SETTINGS)], 2, ended=heard.append)
    assert heard == [outcome]
    assert outcome.finished is None
    assert outcome.failure == f'{why} (log: {row.log})'
    assert row.finished() is None
