"""data2vec's and dBOT's recipes against the released commands."""

from pathlib import Path

import pytest

from mim_backbones.training.config import read_config

ROOT = Path(__file__).parents[3]


def released(name: str):
    return read_config(ROOT / f'configs/pretrain/{name}.py')


# facebookresearch/data2vec_vision, beit/README.md: rate, epochs of warm-up, images a step.
@pytest.mark.parametrize(('name', 'lr', 'warmup', 'batch', 'scale', 'drops'), [
    ('data2vec_vit-b_800e', 2e-3, 10, 2048, 1e-4, (0.25, 0.05)),
    ('data2vec_vit-l_800e', 1e-3, 80, 4096, 1e-5, (0.2, 0.15)),
])  # fmt: skip
def test_data2vec_as_released(name, lr, warmup, batch, scale, drops) -> None:
    cfg = released(name)
    vit, (schedule,) = cfg.model.backbone, cfg.param_scheduler
    assert (vit.layer_scale, vit.drop_path_rate, vit.attn_drop_rate) == (scale, *drops)
    assert (cfg.optim_wrapper.optimizer.lr, cfg.auto_scale_lr.base_batch_size) == (lr, batch)
    assert schedule.warmup == warmup and schedule.min_ratio * lr == pytest.approx(1e-5)
    assert (cfg.model.target.blocks, cfg.model.target.decay, cfg.model.beta) == (6, 0.9998, 2.0)
    masker = cfg.train_dataloader.dataset.masker
    assert (masker.ratio * 196, masker.min_block, masker.exact) == (120, 16, False)


# liuxingbin/dbot, PRETRAIN.md: drop path of encoder and decoder, blocks of the first teacher.
@pytest.mark.parametrize(('name', 'rate', 'first_depth', 'clip'), [
    ('dbot_vit-b_1600e', 0.2, None, 3.0), ('dbot_vit-l_1600e', 0.2, 0, None),
    ('dbot_vit-h_1600e', 0.3, 0, None),
])  # fmt: skip
def test_dbot_as_released(name, rate, first_depth, clip) -> None:
    cfg = released(name)
    assert cfg.model.backbone.drop_path_rate == cfg.model.decoder.drop_path_rate == rate
    assert cfg.model.target.get('first_depth') == first_depth
    assert (cfg.optim_wrapper.clip_grad or {}).get('max_norm') == clip
    assert cfg.optim_wrapper.optimizer.lr == 2.4e-3


@pytest.mark.parametrize(('name', 'warmup'), [
    ('dbot_vit-b_1600e', 40), ('dbot_vit-l_1600e', 40), ('dbot_vit-h_1600e', 40), ('dbot_demo', 1),
])  # fmt: skip
def test_each_stage_has_its_schedule(name, warmup) -> None:
    cfg = released(name)
    stages, begin = list(cfg.model.target.stages), 0
    assert sum(stages) == cfg.train_cfg.max_epochs
    for length, schedule in zip(stages, cfg.param_scheduler, strict=True):
        assert (schedule.begin, schedule.end) == (begin, begin + length)
        assert schedule.warmup == warmup
        begin += length
