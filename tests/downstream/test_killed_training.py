"""Detection and segmentation through tools/train.py, killed and resumed: the same weights."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]
STEPS = 6
RECIPES = {
    'detection': 'mask-rcnn_vit_smoke_coco', 'segmentation': 'upernet_vit_smoke_ade',
}  # fmt: skip


def start(task: str, world: Path, work_dir: Path, workers: int, resume: bool = False):
    options = [
        f'train_cfg.max_iters={STEPS}', f'train_cfg.val_interval={STEPS}',
        'default_hooks.checkpoint.interval=1', 'default_hooks.checkpoint.max_keep_ckpts=-1',
        'model.backbone.drop_path_rate=0.2',
        # Micro-batches: two of two images.
        'train_dataloader.batch_size=2', 'auto_scale_lr.base_batch_size=4',
        f'train_dataloader.num_workers={workers}',
        f'train_dataloader.persistent_workers={workers > 0}',
    ]  # fmt: skip
    words = [
        str(ROOT / f'configs/downstream/{task}/{RECIPES[task]}.py'), '--data', str(world),
        '--work-dir', str(work_dir), *(['--resume'] if resume else []), '--cfg-options', *options,
    ]  # fmt: skip
    with Path(f'{work_dir}.log').open('ab') as log:
        return subprocess.Popen(
            [sys.executable, str(ROOT / 'tools' / 'train.py'), *words],
            env={**os.environ, 'OMP_NUM_THREADS': '1'}, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip


def ended(process: subprocess.Popen, work_dir: Path) -> dict[str, torch.Tensor]:
    assert process.wait(400) == 0, Path(f'{work_dir}.log').read_text()[-3000:]
    return torch.load(work_dir / f'iter_{STEPS}.pth', weights_only=False)['state_dict']


@pytest.mark.slow
@pytest.mark.parametrize('task', RECIPES)
def test_it_ends_with_the_weights_of_one_that_was_not_killed(world, tmp_path, task) -> None:
    whole = ended(start(task, world, tmp_path / 'whole', 0), tmp_path / 'whole')
    for workers in (0, 2):
        folder = tmp_path / str(workers)
        process = start(task, world, folder, workers)
        while not (folder / 'iter_2.pth').exists():
            assert process.poll() is None, Path(f'{folder}.log').read_text()[-3000:]
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert not (folder / f'iter_{STEPS}.pth').exists()
        found = ended(start(task, world, folder, workers, resume=True), folder)
        assert 'micro-batches of 2' in Path(f'{folder}.log').read_text()
        for name, value in whole.items():
            assert torch.equal(value, found[name]), (workers, name)
