"""Short real trainings through tools/train.py, as a user starts them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.pretrain.small import write_blobs

ROOT = Path(__file__).parents[3]
TINY = [
    'model.backbone.img_size=32', 'train_dataloader.batch_size=8',
    'train_dataloader.sampler.samples_per_epoch=32',
    'train_dataloader.num_workers=0', 'train_dataloader.persistent_workers=False',
    'auto_scale_lr.base_batch_size=8', 'default_hooks.logger.interval=1',
    'default_hooks.checkpoint.interval=1', 'optim_wrapper.precision=fp32',
]  # fmt: skip
pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def images(tmp_path_factory):
    """32 pictures of soft blobs: neighbouring pixels tell about hidden ones."""
    folder = tmp_path_factory.mktemp('images')
    return write_blobs(folder, 32)


DEMO = 'configs/pretrain/simmim_demo.py'


def train(
    work_dir: Path, images: Path, *options: str, processes: int = 0, arguments=(), recipe=DEMO
):
    launch = [sys.executable, str(ROOT / 'tools/train.py'), str(recipe)]
    environment = {**os.environ, 'OMP_NUM_THREADS': '1'}
    if processes:
        launch = ['bash', 'tools/dist_train.sh', 'configs/pretrain/simmim_demo.py', str(processes)]
        environment |= {'PYTHON': sys.executable, 'MIMBENCH_VENV': 'none'}
    command = [
        *launch, '--work-dir', str(work_dir), *arguments, '--cfg-options',
        f'train_dataloader.dataset.root={images}', *TINY, *options,
    ]  # fmt: skip
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


def losses(result: subprocess.CompletedProcess) -> list[float]:
    assert result.returncode == 0, result.stderr[-2000:]
    # mmengine logs to stdout or stderr depending on its version.
    return [float(x) for x in re.findall(r' loss: ([\d.]+)', result.stdout + result.stderr)]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    path = Path((folder / 'last_checkpoint').read_text())
    return torch.load(path, weights_only=False)['state_dict']


def same(a: dict, b: dict, tolerance: float = 0.0) -> bool:
    return all(torch.allclose(a[name], b[name], atol=tolerance, rtol=0) for name in a)


def test_loss_falls_and_a_killed_run_resumes_to_the_same_weights(images, tmp_path) -> None:
    whole = train(tmp_path / 'whole', images, 'train_cfg.max_epochs=6')
    found = losses(whole)
    assert len(found) == 24
    epochs = np.reshape(found, (6, 4)).mean(1)
    assert (np.diff(epochs) < 0).sum() >= 4
    assert epochs[-1] < 0.95 * epochs[0]
    assert 'eta:' in whole.stdout + whole.stderr
    events = list((tmp_path / 'whole').rglob('events.out.tfevents*'))
    assert events, 'no TensorBoard file'

    short = 'train_cfg.max_epochs=6', 'model.backbone.drop_path_rate=0.2'
    losses(train(tmp_path / 'one', images, *short))
    first = tmp_path / 'two' / 'epoch_3.pth'
    # Killed after the third epoch: what the first three left behind is resumed.
    stopped = train(tmp_path / 'two', images, *short, 'default_hooks.checkpoint.max_keep_ckpts=9')
    losses(stopped)
    for epoch in (4, 5, 6):
        (tmp_path / 'two' / f'epoch_{epoch}.pth').unlink()
    (tmp_path / 'two' / 'last_checkpoint').write_text(str(first))
    losses(train(tmp_path / 'two', images, *short, arguments=['--resume']))
    assert same(weights(tmp_path / 'one'), weights(tmp_path / 'two'))


def test_two_gloo_processes_take_the_step_of_one(images, tmp_path) -> None:
    one_step = [
        'train_cfg.max_epochs=1', 'optim_wrapper.optimizer.type=SGD',
        'optim_wrapper.clip_grad=None',
        'optim_wrapper.optimizer.lr=0.5', 'optim_wrapper.optimizer._delete_=True',
        'optim_wrapper.optimizer.weight_decay=0.05', 'auto_scale_lr.base_batch_size=32',
        'param_scheduler=None',
    ]  # fmt: skip
    alone = train(tmp_path / 'one', images, *one_step, 'train_dataloader.batch_size=32')
    both = train(tmp_path / 'two', images, *one_step, 'train_dataloader.batch_size=16', processes=2)
    assert losses(alone)
    assert losses(both)
    assert same(weights(tmp_path / 'one'), weights(tmp_path / 'two'), tolerance=2e-6)


def test_probes_of_one_of_two_processes_change_no_weight(images, tmp_path) -> None:
    options = ['train_cfg.max_epochs=2', 'train_dataloader.batch_size=4']
    probes = ['default_hooks.probes.type=OnlineProbes', 'default_hooks.probes.interval=1',
              'default_hooks.probes.share=1.0']  # fmt: skip
    plain = train(tmp_path / 'plain', images, *options, processes=2)
    probed = train(tmp_path / 'probed', images, *options, *probes, processes=2)
    assert losses(plain) == losses(probed)
    assert same(weights(tmp_path / 'plain'), weights(tmp_path / 'probed'))
    said = re.findall(r'iteration (\d+), probe: ', probed.stdout + probed.stderr)
    assert said == ['4', '8']


@pytest.mark.parametrize('loss', ['smooth_l1', 'cosine', 'l2'])
def test_simmim_learns_the_features_of_a_teacher(images, tmp_path, loss: str) -> None:
    """A target of another kind is a change of the recipe: nothing of SimMIM's file."""
    recipe = tmp_path / 'features.py'
    recipe.write_text(f"""
_base_ = ['{ROOT}/configs/pretrain/simmim_demo.py']
model = dict(
    loss='{loss}',
    target=dict(
        _delete_=True, type='FeatureTarget', norm='layer',
        teacher=dict(
            type='BackboneTeacher', random_weights=True,
            backbone=dict(type='mim_backbones.MIMViT', patch_size=8,
                          arch=dict(embed_dim=32, depth=1, num_heads=2)))))
""")
    result = train(tmp_path / 'run', images, 'train_cfg.max_epochs=6', recipe=recipe)
    epochs = np.reshape(losses(result), (6, 4)).mean(1)
    assert epochs[-1] < 0.9 * epochs[0]
    state = weights(tmp_path / 'run')
    assert [name for name in state if name.startswith('target')] == ['target.fingerprint']


def test_bad_images_are_skipped_named_and_limited(images, tmp_path) -> None:
    folder = tmp_path / 'images'
    folder.mkdir()
    for path in images.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / '007.png').write_bytes(b'not a picture')
    allowed = train(tmp_path / 'a', folder, 'train_cfg.max_epochs=1', 'custom_hooks.0.limit=0.05')
    losses(allowed)
    assert f'skipped {folder}/007.png' in allowed.stdout + allowed.stderr
    refused = train(tmp_path / 'b', folder, 'train_cfg.max_epochs=1')
    assert refused.returncode != 0
    assert (
        refused.stderr.strip()
        .splitlines()[-1]
        .startswith('train.py: error: 1 of 32 images cannot be decoded, more than 1%')
    )


def test_broken_weights_are_not_saved(images, tmp_path) -> None:
    result = train(tmp_path / 'x', images, 'optim_wrapper.optimizer.lr=1e30')
    assert result.returncode == 2
    last = result.stderr.strip().splitlines()[-1]
    assert 'for the second time after iteration' in last
    assert not list((tmp_path / 'x').glob('*.pth'))


@pytest.mark.parametrize(('options', 'message'), [
    (['train_dataloader.dataset.root=/no/such/folder'], 'folder /no/such/folder is not there'),
    (['train_dataloader.batchsize=4'], "did you mean 'batch_size'"),
    (['train_dataloader.dataset.masker.unit_px=20'], 'must divide each other'),
    (['train_dataloader.dataset.img_size=64'], 'img_size=64 in the config, but MIMViT has 32;'),
    (['train_dataloader.dataset.masker.patch_size=4'], 'patch_size=4 in the config, but MIMViT'),
    (['model.backbone.mask_token=False'], 'a mask needs a backbone with mask_token=True'),
    (['optim_wrapper.optimizer.type=AdamWW'], "nothing is registered as 'AdamWW'"),
])  # fmt: skip
def test_mistakes_end_in_one_line(images, tmp_path, options, message) -> None:
    result = train(tmp_path / 'x', images, *options)
    assert result.returncode == 2
    assert message in result.stderr.strip().splitlines()[-1]
