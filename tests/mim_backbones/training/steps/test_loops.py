"""What a loop leaves behind."""

import multiprocessing

import pytest

from tests.mim_backbones.training.line import trained

WORKERS = {
    'batch_size': 2, 'num_workers': 2, 'collate_fn': {'type': 'default_collate'},
    'dataset': {'type': 'SoakNumbers'},
}  # fmt: skip


@pytest.mark.parametrize('persistent', [False, True])
@pytest.mark.parametrize(
    ('sampler', 'train_cfg'),
    [
        ('DefaultSampler', {'by_epoch': True, 'max_epochs': 2}),
        ('InfiniteSampler', {'by_epoch': False, 'max_iters': 7}),
    ],
)
def test_no_worker_outlives_its_training(tmp_path, sampler, train_cfg, persistent) -> None:
    before = set(multiprocessing.active_children())
    loader = {**WORKERS, 'persistent_workers': persistent, 'sampler': {'type': sampler}}
    runner = trained(tmp_path, train_dataloader=loader, train_cfg=train_cfg)
    assert set(multiprocessing.active_children()) <= before
    assert runner.train_loop.stop_training is False  # the runner, and so its loader, is still there
