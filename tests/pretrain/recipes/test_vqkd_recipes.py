"""The VQ-KD recipes against the published table; and their optimizer."""

from pathlib import Path

import pytest
from mmengine.optim import build_optim_wrapper

from mim_backbones.errors import UserError
from mim_backbones.training.config import read_config
from mim_backbones.training.launch import build_runner
from pretrain.registry import MODELS, build
from tests.pretrain.small import ARCH, TEACHER

ROOT = Path(__file__).parents[3]
NAMES = ('vqkd', 'vqkd_dec1_clip', 'vqkd_dec1_dino')
RECIPES = {name: ROOT / f'configs/pretrain/{name}.py' for name in NAMES}


# beit2/TOKENIZER.md: decoder depth and teacher are in the names of the released tokenizers.
@pytest.mark.parametrize(('name', 'depth', 'teacher'), [
    ('vqkd', 3, 'CLIPTeacher'), ('vqkd_dec1_clip', 1, 'CLIPTeacher'),
    ('vqkd_dec1_dino', 1, 'DINOTeacher'),
])  # fmt: skip
def test_published_table(name, depth, teacher) -> None:
    cfg = read_config(RECIPES[name])
    assert cfg.model.decoder.arch == {'embed_dim': 768, 'depth': depth, 'num_heads': 12}
    assert cfg.model.target.teacher.type == teacher
    assert (cfg.model.codebook.codes, cfg.model.codebook.dim) == (8192, 32)
    optimizer = cfg.optim_wrapper.optimizer
    assert optimizer.lr == pytest.approx(2e-4)
    assert (tuple(optimizer.betas), optimizer.weight_decay) == ((0.9, 0.99), 1e-4)
    (schedule,) = cfg.param_scheduler
    assert schedule.min_ratio * optimizer.lr == pytest.approx(1e-5)
    assert (schedule.warmup, cfg.train_cfg.max_epochs) == (10, 100)
    assert 'clip_grad' not in cfg.optim_wrapper


def test_missing_weights_are_one_line(tmp_path) -> None:
    for name, wanted in (('vqkd', r'ViT-B-16\.pt'), ('vqkd_dec1_dino', 'dino_vitbase16_pretrain')):
        cfg = read_config(RECIPES[name])
        cfg.work_dir = str(tmp_path / name)
        with pytest.raises(UserError, match=wanted) as error:
            build_runner(cfg)
        assert '\n' not in str(error.value)
        assert 'model.target.teacher.checkpoint=FILE' in str(error.value)


def test_weight_decay_spares_biases_norms_and_positions(tmp_path) -> None:
    cfg = read_config(RECIPES['vqkd'])
    cfg.model.backbone.arch = ARCH
    cfg.model.decoder.arch.update(embed_dim=32, num_heads=2)
    teacher = {**TEACHER, 'backbone': {**TEACHER['backbone'], 'patch_size': 16}}
    model = build(MODELS, {**cfg.model, 'target': {'type': 'FeatureTarget', 'teacher': teacher}})
    cfg.optim_wrapper.precision = 'fp32'
    optimizer = build_optim_wrapper(model, cfg.optim_wrapper).optimizer
    decay = {n: g['weight_decay'] for g in optimizer.param_groups for n in g['names']}
    exempt = {name.rpartition('.')[2] for name, value in decay.items() if not value}
    assert exempt == {'weight', 'bias', 'cls_token', 'pos_embed', 'q_bias', 'v_bias'}
    decayed = [name for name, value in decay.items() if value]
    assert all('norm' not in name and name.endswith('weight') for name in decayed)
