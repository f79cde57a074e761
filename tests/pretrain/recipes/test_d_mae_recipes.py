"""D-MAE-Lite's recipes against the released ones, and what they ask of the user."""

from pathlib import Path

import pytest

from mim_backbones.backbones.archs import vit_size
from mim_backbones.errors import UserError
from mim_backbones.training.config import read_config
from mim_backbones.training.launch import build_runner
from pretrain.registry import MODELS, build
from tests.pretrain.small import TEACHER

ROOT = Path(__file__).parents[3]
NAMES = ('d-mae-lite_vit-ti_400e', 'd-mae-lite_vit-s_400e', 'd2-mae-lite_vit-ti_400e')


# wangsr126/MAE-Lite, projects/mae_lite: width, decoder, the place that is decoded, blocks of both.
@pytest.mark.parametrize(('name', 'dim', 'decoder', 'places'), [
    (NAMES[0], 192, (96, 1, 3), [12, 11]),
    (NAMES[1], 384, (192, 1, 6), [12, 11]),
    (NAMES[2], 192, (96, 1, 3), [8, 12]),
])  # fmt: skip
def test_released_table(name, dim, decoder, places) -> None:
    cfg = read_config(ROOT / f'configs/pretrain/{name}.py')
    size = {'embed_dim': dim, 'depth': 12, 'num_heads': 12}
    assert vit_size(cfg.model.backbone.arch) == size
    own = cfg.model.decoder
    assert (own.embed_dim, own.depth, own.num_heads) == decoder
    teacher = {**TEACHER['backbone'], 'arch': {**size, 'embed_dim': 48}, 'patch_size': 16}
    model = build(MODELS, {**cfg.model, 'teacher': {**TEACHER, 'backbone': teacher}})
    (part,) = model.distill
    assert model.places == places and part.target.place == 11
    assert (tuple(part.adapter.weight.shape), part.weight) == ((12, 12, 1), 1.0)
    assert cfg.train_cfg.max_epochs == 400 and cfg.auto_scale_lr.base_batch_size == 4096
    assert cfg.train_dataloader.dataset.scale == (0.08, 1.0)
    if name.startswith('d2'):  # without the adapter; the released one holds 5.860 M
        # A decoder may keep its fixed positions as a buffer.
        held = [*model.named_parameters(), *model.decoder.named_buffers()]
        count = sum(value.numel() for key, value in held if 'adapter' not in key)
        assert round(count / 1e6, 3) == 5.860


def test_missing_weights_are_one_line(tmp_path) -> None:
    for name in NAMES:
        cfg = read_config(ROOT / f'configs/pretrain/{name}.py')
        cfg.work_dir = str(tmp_path / name)
        with pytest.raises(UserError, match=r'Set model\.teacher\.checkpoint=FILE') as error:
            build_runner(cfg)
        assert '\n' not in str(error.value)
