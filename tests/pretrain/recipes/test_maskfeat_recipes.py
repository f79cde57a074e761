"""MaskFeat's recipes against the released one, and a short real training."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.optim import CosineAnnealingLR, LinearLR

from mim_backbones.backbones.archs import vit_size
from mim_backbones.training.config import read_config
from mim_backbones.training.schedules import WarmupCosineLR
from pretrain.maskers.choice import build_masker
from pretrain.registry import MODELS, build
from tests.pretrain.methods.test_training import losses, train
from tests.pretrain.small import write_blobs

ROOT = Path(__file__).parents[3]
NAMES = ('maskfeat', 'maskfeat_vit-b_300e', 'maskfeat_vit-l_1600e')


# open-mmlab/mmpretrain, configs/maskfeat: its window and 300 epochs; SlowFast's files: 1600.
@pytest.mark.parametrize(('name', 'arch', 'window', 'epochs'), [
    (NAMES[0], 'base', None, 1600), (NAMES[1], 'base', 16, 300), (NAMES[2], 'large', None, 1600),
])  # fmt: skip
def test_released_table(name: str, arch: str, window: int | None, epochs: int) -> None:
    cfg = read_config(ROOT / f'configs/pretrain/{name}.py')
    assert vit_size(cfg.model.backbone.arch) == vit_size(arch)
    small = {**cfg.model.backbone, 'arch': {'embed_dim': 16, 'depth': 1, 'num_heads': 2}}
    model = build(MODELS, {**cfg.model, 'backbone': small})
    target = model.target
    assert (target.width, target.grid, target.window) == (108, (14, 14), window)
    assert model.head.project.weight.shape == (108, 16, 1, 1)
    optimizer, data = cfg.optim_wrapper.optimizer, cfg.train_dataloader.dataset
    assert (optimizer.lr, optimizer.betas, optimizer.weight_decay) == (1.6e-3, (0.9, 0.999), 0.05)
    assert cfg.optim_wrapper.clip_grad.max_norm == 0.02 and cfg.train_cfg.max_epochs == epochs
    assert (data.scale, data.interpolation, data.flip) == ((0.5, 1.0), 'bicubic', 0.5)
    masker = build_masker({**data.masker, 'img_size': 224, 'patch_size': 16})
    assert masker.count == 78
    rng = np.random.default_rng(0)
    counts = [masker(rng).sum() for _ in range(50)]
    assert max(counts) <= 78 and 70 < np.mean(counts) < 78


def test_the_released_curve() -> None:
    """mmengine's schedulers as the released recipe chains them; 10 updates an epoch."""
    released, own = (torch.optim.SGD([torch.zeros(1)], lr=1.6e-3) for _ in range(2))
    chained = [
        LinearLR(released, start_factor=1e-6, begin=0, end=300),
        CosineAnnealingLR(released, T_max=2700, eta_min=1e-6, begin=300, end=3000),
    ]
    options = dict(read_config(ROOT / 'configs/pretrain/maskfeat_vit-b_300e.py').param_scheduler[0])
    for name in ('type', 'convert_to_iter_based', 'warmup'):
        options.pop(name)
    ours = WarmupCosineLR(own, warmup=300, begin=0, end=3000, by_epoch=False, **options)
    for _ in range(3000):
        rates = [each.param_groups[0]['lr'] for each in (released, own)]
        assert rates[1] == pytest.approx(rates[0], rel=1e-6, abs=1e-12)
        for each in (released, own):
            each.step()
        for scheduler in (*chained, ours):
            scheduler.step()


@pytest.mark.slow
def test_the_demo_learns(tmp_path) -> None:
    images = write_blobs(tmp_path / 'images', 32)
    recipe = 'configs/pretrain/maskfeat_demo.py'
    result = train(tmp_path / 'run', images, 'train_cfg.max_epochs=6', recipe=recipe)
    epochs = np.reshape(losses(result), (6, 4)).mean(1)
    assert epochs[-1] < 0.9 * epochs[0]
