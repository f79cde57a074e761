"""A row's files: what is trained already, what may not be mixed, how far it is."""

import sys
from dataclasses import replace

import pytest

from mim_backbones.errors import UserError
from pretrain.ablation import pretraining
from pretrain.ablation.pretraining import (
    Training,
    pretrain_rows,
    training_command,
    whole_epochs,
)
from pretrain.ablation.row import Row, Settings, row_config
from pretrain.ablation.study import find_study

SETTINGS = Settings(config='c0ffee', steps=28, seed=3, data='/images')


@pytest.fixture
def row(tmp_path):
    study = find_study('simmim')
    return Row(study, study.tiers['smoke'], 'ratio_0.2', tmp_path / 'ratio_0.2')


def test_a_row_is_put_on_another_recipe(tmp_path) -> None:
    (tmp_path / 'base.py').write_text('side = 4\nmodel = dict(a=1, b=2)\n')
    text = "'''Doc.'''\n_base_ = '../other.py'\n\nmodel = dict(b={{_base_.side}})\n"
    moved = row_config(text, tmp_path / 'base.py')
    assert moved == text.replace("'../other.py'", repr(str(tmp_path / 'base.py')))


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
    assert training.stand() == ('ratio_0.2', 0.0, 'starts')
    log = row.work_dir / '20260101' / 'vis_data' / 'scalars.json'
    log.parent.mkdir(parents=True)
    log.write_text(
        '{"time": 1.0, "step": 25}\n{"time": 1.5, "step": 50}\n{"usage": 0.3, "step": 50}\n'
        '{"time": 2.0, "st'
    )
    assert training.stand() == ('ratio_0.2', 0.5, 'pre-train 50/100, 1:15 left')


def test_training_takes_whole_epochs_of_the_recipe(row) -> None:
    assert whole_epochs(400, 14) == 29
    cfg = row.resolved()
    words = training_command(row, replace(SETTINGS, steps=2 * cfg.train_cfg.max_epochs))
    samples = 2 * cfg.train_dataloader.batch_size
    assert f'train_dataloader.sampler.samples_per_epoch={samples}' in words
    assert {'train_dataloader.sampler.seed=3', 'randomness.seed=3', '--resume'} <= set(words)


@pytest.mark.parametrize(
    ('script', 'why'),
    [
        ('import sys; print("noise"); sys.exit("train.py: error: no space left")', 'no space left'),
        (
            'import os; print("step 5", flush=True); os.kill(os.getpid(), 9)',
            'ended by signal SIGKILL, out of memory perhaps',
        ),
    ],
)
def test_a_row_that_fails_says_why_and_where(row, monkeypatch, script, why) -> None:
    row.open(SETTINGS)
    command = [sys.executable, '-c', script]
    monkeypatch.setattr(pretraining, 'training_command', lambda row, settings: command)
    heard: list = []
    (outcome,) = pretrain_rows([Training(row, SETTINGS)], 2, ended=heard.append)
    assert heard == [outcome]
    assert outcome.finished is None
    assert outcome.failure == f'{why} (log: {row.log})'
    assert row.finished() is None
