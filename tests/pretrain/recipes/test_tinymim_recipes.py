"""TinyMIM's recipes against the released ones, what they ask of the user, a short real training."""

from pathlib import Path

import numpy as np
import pytest

from mim_backbones.backbones.archs import vit_size
from mim_backbones.errors import UserError
from mim_backbones.training.config import read_config
from mim_backbones.training.launch import build_runner
from pretrain.registry import MODELS, build
from tests.pretrain.methods.test_training import losses, train
from tests.pretrain.small import ARCH, TEACHER, write_blobs

ROOT = Path(__file__).parents[3]
NAMES = ('tinymim_vit-b_300e', 'tinymim_vit-s_300e', 'tinymim_vit-ti_300e')


# OliverRensu/TinyMIM, models_tinymim.py and models_teacher.py: width and heads of the student, and
# heads of its last block; depth, heads and the block of the teacher, from 0.
@pytest.mark.parametrize(('name', 'dim', 'heads', 'last_heads', 'teacher'), [
    (NAMES[0], 768, 12, 16, (24, 16, 17)),
    (NAMES[1], 384, 6, 12, (12, 12, 11)),
    (NAMES[2], 192, 6, 12, (12, 6, 11)),
])  # fmt: skip
def test_released_table(name, dim, heads, last_heads, teacher) -> None:
    cfg = read_config(ROOT / f'configs/pretrain/{name}.py')
    size = {'embed_dim': dim, 'depth': 12, 'num_heads': heads}
    assert vit_size(cfg.model.backbone.arch) == size
    depth, own_heads, block = teacher
    cfg.model.target.teacher = {**TEACHER, 'backbone': {**TEACHER['backbone'], 'patch_size': 16,
                                'arch': {**ARCH, 'embed_dim': 96, 'depth': depth,
                                         'num_heads': own_heads}}}  # fmt: skip
    target = build(MODELS, cfg.model).target
    assert (target.place, target.heads, target.relations) == (block, last_heads, ('qk', 'vv'))
    assert (cfg.auto_scale_lr.base_batch_size, cfg.train_cfg.max_epochs) == (4096, 300)
    optimizer, data = cfg.optim_wrapper.optimizer, cfg.train_dataloader.dataset
    assert optimizer.lr == pytest.approx(1.5e-4 * 16) and optimizer.betas == (0.9, 0.95)
    assert cfg.param_scheduler[0].warmup == 15 and optimizer.weight_decay == 0.05
    assert (data.scale, data.interpolation, data.jitter) == ((0.2, 1.0), 'bicubic', 0.4)
    assert data.masker is None and data.jitter_target is False


def test_missing_weights_are_one_line(tmp_path) -> None:
    for name in NAMES:
        cfg = read_config(ROOT / f'configs/pretrain/{name}.py')
        cfg.work_dir = str(tmp_path / name)
        with pytest.raises(UserError, match=r'Set model\.target\.teacher\.checkpoint=') as error:
            build_runner(cfg)
        assert '\n' not in str(error.value)


@pytest.mark.slow
def test_the_demo_learns_from_the_demo_of_mae(tmp_path) -> None:
    images = write_blobs(tmp_path / 'images', 32)
    recipe = 'configs/pretrain/{}_demo.py'
    losses(
        train(tmp_path / 'mae', images, 'train_cfg.max_epochs=2', recipe=recipe.format('mae-lite'))
    )
    teacher = f'model.target.teacher.checkpoint={tmp_path}/mae/epoch_2.pth'
    result = train(
        tmp_path / 'run', images, 'train_cfg.max_epochs=6', teacher, recipe=recipe.format('tinymim')
    )
    epochs = np.reshape(losses(result), (6, 4)).mean(1)
    assert epochs[-1] < 0.7 * epochs[0]
