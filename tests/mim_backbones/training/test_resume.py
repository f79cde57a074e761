"""Which checkpoint a run goes on from, and that it goes on exactly."""

import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mim_backbones.checkpoints.safe.weights_file import CheckpointError
from mim_backbones.training.resume import newest_first, newest_whole
from tests.mim_backbones.training.line import line_config, line_runner, trained

ROOT = Path(__file__).parents[3]
LOG = logging.getLogger('test')


@pytest.fixture
def run_of_four(tmp_path) -> Path:
    """epoch_1.pth to epoch_4.pth, as a run leaves them."""
    trained(tmp_path / 'run', train_cfg={'by_epoch': True, 'max_epochs': 4})
    return tmp_path / 'run'


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


DAMAGES = {
    # what happened: (to the folder, number of the epoch to go on from)
    'nothing': (lambda run: None, 4),
    'no note': (lambda run: (run / 'last_checkpoint').unlink(), 4),
    'empty note': (lambda run: (run / 'last_checkpoint').write_text(''), 4),
    'zeros in the note': (lambda run: (run / 'last_checkpoint').write_bytes(b'\0' * 40), 4),
    'note of a file that is gone': (lambda run: (run / 'epoch_4.pth').unlink(), 3),
    'last is cut': (lambda run: cut(run / 'epoch_4.pth'), 3),
    'two are cut': (lambda run: [cut(run / f'epoch_{n}.pth') for n in (3, 4)], 2),
    'last is empty, no note': (lambda run: (
        (run / 'epoch_4.pth').write_bytes(b''), (run / 'last_checkpoint').unlink()), 3),
    'killed before the note': (
        lambda run: (run / 'last_checkpoint').write_text(str(run / 'epoch_3.pth')), 4),
    'only weights left of the last': (
        lambda run: torch.save({'state_dict': {}}, run / 'epoch_4.pth'), 3),
}  # fmt: skip


@pytest.mark.parametrize('damage', DAMAGES)
def test_a_partial_folder_goes_on_from_the_newest_whole_file(run_of_four, damage: str) -> None:
    spoil, wanted = DAMAGES[damage]
    spoil(run_of_four)
    runner = trained(run_of_four, resume=True, train_cfg={'by_epoch': True, 'max_epochs': 5})
    assert runner.epoch == 5
    resumed = [int(line.rpartition('epoch_')[2].partition('.')[0])
               for line in runner_log(runner) if 'Load checkpoint from' in line]  # fmt: skip
    assert resumed in ([], [wanted])
    assert newest_whole(run_of_four, LOG) == run_of_four / 'epoch_5.pth'


def runner_log(runner) -> list[str]:
    return Path(runner.log_dir, f'{runner.timestamp}.log').read_text().splitlines()


@pytest.mark.parametrize('damage', DAMAGES)
def test_which_one_that_is(run_of_four, damage: str) -> None:
    spoil, wanted = DAMAGES[damage]
    spoil(run_of_four)
    assert newest_whole(run_of_four, LOG) == run_of_four / f'epoch_{wanted}.pth'


def test_an_empty_folder_starts_anew_and_one_of_ruins_is_refused(run_of_four, tmp_path) -> None:
    (tmp_path / 'empty').mkdir()
    assert newest_whole(tmp_path / 'empty', LOG) is None
    assert trained(tmp_path / 'empty', resume=True).epoch == 2
    for path in run_of_four.glob('*.pth'):
        cut(path)
    runner = line_runner(run_of_four, resume=True)
    with pytest.raises(CheckpointError, match=r'none of the 4 checkpoints in .* can be resumed'):
        runner.train()


def test_a_folder_that_was_moved(run_of_four) -> None:
    moved = run_of_four.rename(run_of_four.parent / 'moved')
    assert newest_whole(moved, LOG) == moved / 'epoch_4.pth'


def test_an_earlier_longer_run_in_the_folder_is_not_taken_up(run_of_four) -> None:
    hour_ago = (run_of_four / 'epoch_1.pth').stat().st_mtime - 3600
    os.utime(run_of_four / 'epoch_4.pth', (hour_ago, hour_ago))
    (run_of_four / 'last_checkpoint').write_text(str(run_of_four / 'epoch_2.pth'))
    assert [p.stem for p in newest_first(run_of_four)][:2] == ['epoch_3', 'epoch_2']


def test_numbers_are_compared_as_numbers_and_kinds_by_their_latest(tmp_path) -> None:
    for place, name in enumerate(('iter_900', 'epoch_9', 'epoch_10')):
        (tmp_path / f'{name}.pth').touch()
        os.utime(tmp_path / f'{name}.pth', (place, place))
    (tmp_path / 'best_mIoU_iter_9000.pth').touch()
    assert [p.stem for p in newest_first(tmp_path)] == ['epoch_10', 'epoch_9', 'iter_900']


def state(runner) -> dict:
    return {**runner.model.state_dict(), **runner.optim_wrapper.optimizer.state_dict()['state'][0]}


CHANGES = {
    'mid-epoch': {'default_hooks': {'logger': None, 'checkpoint': {
        'type': 'CheckpointHook', 'by_epoch': False, 'interval': 1}}},
    'accumulated': {'optim_wrapper': {
        'optimizer': {'type': 'Adam', 'lr': 0.01}, 'accumulative_counts': 3}},
    'both': {
        'default_hooks': {'logger': None, 'checkpoint': {
            'type': 'CheckpointHook', 'by_epoch': False, 'interval': 1}},
        'optim_wrapper': {'optimizer': {'type': 'Adam', 'lr': 0.01}, 'accumulative_counts': 3}},
    'iterations': {
        'train_cfg': {'by_epoch': False, 'max_iters': 10},
        'default_hooks': {'logger': None, 'checkpoint': {
            'type': 'CheckpointHook', 'by_epoch': False, 'interval': 1}}},
    'sampled in groups': {
        'train_dataloader': {
            'num_workers': 0,
            'collate_fn': {'type': 'default_collate'}, 'dataset': {'type': 'SoakNumbers'},
            'sampler': {'type': 'DefaultSampler', 'shuffle': True},
            'batch_sampler': {'type': 'SoakGroups', 'batch_size': 2}},
        'default_hooks': {'logger': None, 'checkpoint': {
            'type': 'CheckpointHook', 'by_epoch': False, 'interval': 1}}},
}  # fmt: skip


@pytest.mark.parametrize('change', CHANGES)
def test_a_run_resumed_at_any_checkpoint_ends_as_one_that_was_not(tmp_path, change: str) -> None:
    changes = CHANGES[change]
    whole = trained(tmp_path / 'whole', **changes)
    checkpoints = sorted((tmp_path / 'whole').glob('*_*.pth'))
    assert len(checkpoints) == (2 if change == 'accumulated' else 10)
    # mmengine's loop by iterations rests for two seconds between epochs.
    for checkpoint in checkpoints[-2:] if change == 'iterations' else checkpoints:
        folder = tmp_path / checkpoint.stem
        folder.mkdir()
        shutil.copy(checkpoint, folder)
        resumed = trained(folder, resume=True, **changes)
        assert (resumed.epoch, resumed.iter) == (whole.epoch, whole.iter)
        losses = [r.message_hub.get_scalar('train/loss').data[0].tolist() for r in (whole, resumed)]
        assert losses[0] == losses[1], checkpoint.name
        one, two = state(whole), state(resumed)
        assert all(torch.equal(one[name], two[name]) for name in one), checkpoint.name


def test_what_is_summed_up_lies_in_the_checkpoint_and_only_then(tmp_path) -> None:
    trained(tmp_path, **CHANGES['both'])
    for number in range(1, 11):
        content = torch.load(tmp_path / f'iter_{number}.pth', weights_only=False)
        assert ('gradients' in content) == (number not in (3, 6, 9, 10))
        assert content['meta']['batches_done'] == (number - 1) % 5 + 1


@pytest.mark.slow
def test_two_processes_go_on_in_the_middle_of_an_accumulated_batch(tmp_path) -> None:
    imports = {'imports': ['tests.mim_backbones.training.line']}
    config = line_config(tmp_path, custom_imports=imports, **CHANGES['both'])
    (tmp_path / 'line.py').write_text(config.pretty_text)

    def train(folder: Path) -> dict:
        words = ['-m', 'torch.distributed.run', '--standalone', '--nproc-per-node=2',
                 str(ROOT / 'tools' / 'train.py'), str(tmp_path / 'line.py'), '--launcher',
                 'pytorch', '--resume', '--work-dir', str(folder)]  # fmt: skip
        environment = {**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'}
        result = subprocess.run([sys.executable, *words], env=environment, capture_output=True,
                                text=True)  # fmt: skip
        assert result.returncode == 0, result.stderr[-3000:]
        return torch.load(folder / 'iter_6.pth', weights_only=False)  # 3 batches an epoch, of 2 x 2

    whole = train(tmp_path / 'whole')
    (tmp_path / 'resumed').mkdir()
    shutil.copy(tmp_path / 'whole' / 'iter_2.pth', tmp_path / 'resumed')
    assert torch.load(tmp_path / 'whole' / 'iter_2.pth', weights_only=False)['gradients']
    resumed = train(tmp_path / 'resumed')
    for name, value in whole['state_dict'].items():
        assert torch.equal(value, resumed['state_dict'][name]), name
