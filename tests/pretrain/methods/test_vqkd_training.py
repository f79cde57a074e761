"""Short real trainings of a tokenizer through tools/train.py, as a user starts them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from pretrain.tokenizers.trained import load_tokenizer

ROOT = Path(__file__).parents[3]
RECIPE = f"""
_base_ = ['{ROOT}/configs/pretrain/vqkd.py']
vit = dict(_delete_=True, embed_dim=32, depth=2, num_heads=2)
model = dict(
    backbone=dict(arch=vit, img_size=32, patch_size=8),
    codebook=dict(codes=32, dim=8),
    decoder=dict(arch=dict(embed_dim=32, depth=1, num_heads=2)),
    target=dict(teacher=dict(
        _delete_=True, type='BackboneTeacher', random_weights=True,
        backbone=dict(type='mim_backbones.MIMViT', patch_size=8,
                      arch=dict(embed_dim=32, depth=1, num_heads=2)))))
train_dataloader = dict(
    batch_size=16, num_workers=0, persistent_workers=False,
    sampler=dict(samples_per_epoch=48), dataset=dict(root='IMAGES'))
auto_scale_lr = None  # 16 images of each process are a step
optim_wrapper = dict(precision='fp32', optimizer=dict(lr=1e-3))
param_scheduler = [
    dict(type='mim_backbones.WarmupCosineLR', warmup=1, min_ratio=0.05,
         convert_to_iter_based=True)]
train_cfg = dict(max_epochs=4)
default_hooks = dict(
    logger=dict(interval=1), checkpoint=dict(interval=1, max_keep_ckpts=9))
custom_hooks = [
    dict(type='SkippedImages'), dict(type='BindData'), dict(type='MethodRecord'),
    dict(type='CodebookHealthHook', interval=1)]
"""
pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def recipe(tmp_path_factory):
    """A tiny VQ-KD on pictures of soft blobs."""
    folder = tmp_path_factory.mktemp('vqkd')
    (folder / 'images').mkdir()
    rng = np.random.default_rng(0)
    for i in range(32):
        coarse = rng.integers(0, 255, (4, 4, 3), dtype=np.uint8)
        picture = Image.fromarray(coarse).resize((40, 40), Image.Resampling.BICUBIC)
        picture.save(folder / 'images' / f'{i}.png')
    (folder / 'recipe.py').write_text(RECIPE.replace('IMAGES', str(folder / 'images')))
    return folder / 'recipe.py'


def train(recipe: Path, work_dir: Path, *arguments: str, processes: int = 0) -> str:
    environment = {**os.environ, 'OMP_NUM_THREADS': '1'}
    launch = [sys.executable, str(ROOT / 'tools/train.py'), str(recipe)]
    if processes:
        launch = ['bash', 'tools/dist_train.sh', str(recipe), str(processes)]
        environment |= {'PYTHON': sys.executable, 'MIMBENCH_VENV': 'none'}
    result = subprocess.run(
        [*launch, '--work-dir', str(work_dir), *arguments],
        cwd=ROOT, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-2000:]
    return result.stdout + result.stderr


def state(file: Path) -> dict[str, torch.Tensor]:
    return torch.load(file, weights_only=False)['state_dict']


def test_a_killed_run_resumes_to_the_same_codebook(recipe, tmp_path) -> None:
    log = train(recipe, tmp_path / 'whole')
    assert 'codebook_usage' in log and 'perplexity' in log
    events = EventAccumulator(str(next((tmp_path / 'whole').rglob('vis_data'))))
    events.Reload()
    assert 'codebook/share' in events.Tags()['histograms']
    assert 'codebook_perplexity' in events.Tags()['scalars']
    found = [event.value for event in events.Scalars('loss_rec')]
    assert np.mean(found[-3:]) < 0.8 * np.mean(found[:3])

    resumed = tmp_path / 'resumed'
    resumed.mkdir()
    shutil.copy(tmp_path / 'whole/epoch_2.pth', resumed)
    (resumed / 'last_checkpoint').write_text(str(resumed / 'epoch_2.pth'))
    train(recipe, resumed, '--resume')
    one, two = state(tmp_path / 'whole/epoch_4.pth'), state(resumed / 'epoch_4.pth')
    assert one.keys() == two.keys()
    assert all(torch.equal(value, two[name]) for name, value in one.items())

    image = torch.rand(2, 3, 32, 32)
    ids = load_tokenizer(resumed / 'epoch_4.pth').encode(image)
    assert torch.equal(ids, load_tokenizer(tmp_path / 'whole/epoch_4.pth').encode(image))


def test_two_gloo_processes_train_the_codebook_of_one(recipe, tmp_path) -> None:
    plain = [
        '--cfg-options', 'train_cfg.max_epochs=1', 'optim_wrapper.optimizer.type=SGD',
        'optim_wrapper.optimizer._delete_=True', 'optim_wrapper.optimizer.lr=0.1',
    ]  # fmt: skip
    train(recipe, tmp_path / 'one', *plain)
    train(recipe, tmp_path / 'two', *plain, 'train_dataloader.batch_size=8', processes=2)
    one, two = state(tmp_path / 'one/epoch_1.pth'), state(tmp_path / 'two/epoch_1.pth')
    assert one.keys() == two.keys()
    assert torch.equal(one['quantize.hits'], two['quantize.hits'])
    for name, value in one.items():
        torch.testing.assert_close(value, two[name], atol=5e-6, rtol=0, msg=name)
