"""Every recipe and every row of a study builds in the Runner and trains a step.

Its geometry, its target, its head; a small model. What a user fits or has is brought along.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config

from mim_backbones.errors import UserError
from mim_backbones.registry import MODELS
from mim_backbones.training.config import read_config
from mim_backbones.training.launch import build_runner
from pretrain.ablation.row import config_text
from pretrain.ablation.study import find_study, study_files
from tests.pretrain.small import ARCH, TEACHER, TOKENIZER, write_blobs, write_dalle

ROOT = Path(__file__).parents[3]
RECIPES = sorted((ROOT / 'configs/pretrain').glob('*.py'))
STUDIES = [find_study(method) for method in study_files()]
ROWS = [
    pytest.param(study, None, row, id=row)
    for study in STUDIES for axis in study.axes.values() for row in axis.rows
] + [
    pytest.param(study, study.tiers[tier], row, id=f'{tier} {row}')
    for study in STUDIES for axis in study.axes.values()
    for tier in axis.at for row in axis.at[tier]
]  # fmt: skip
SMALL = {
    'MIMSwin': {'embed_dim': 8, 'depths': (1, 2, 1, 1), 'num_heads': (1, 1, 2, 2)},
    'MIMHiera': {'embed_dim': 8, 'depths': (1, 1, 1, 1), 'num_heads': 1},
    'MIMViT': {'embed_dim': 16, 'depth': 10, 'num_heads': 2},
}

# Where patches or windows do not divide 96 px.
OTHER_SIDES = {
    'mae_vit-h_1600e': 98,
    'dbot_vit-h_1600e': 98,
    'img2vec_vit-h_800e': 98,
    'eva_vit-g_150e': 98,
    'simmim_swin-l_800e': 384,
    **dict.fromkeys(('simmim-lite_swin-ti_400e', 'd-simmim-lite_swin-ti_400e'), 448),
}


@pytest.fixture(autouse=True)
def _unformatted_logs(monkeypatch) -> None:
    """mmengine formats the whole config anew for each of five logs: most of a short run's time."""
    monkeypatch.setattr(Config, 'pretty_text', property(lambda cfg: str(cfg.to_dict())))


@pytest.fixture(scope='module')
def images(tmp_path_factory) -> Path:
    return write_blobs(tmp_path_factory.mktemp('images'), px=256)


def bring_files(model: Any, folder: Path) -> None:
    """What a user fits or has: a palette, DALL-E's encoder, a tokenizer, a teacher."""
    target = model.get('target', {})
    if 'palette' in target:
        target.palette = str(folder / 'palette.json')
        (folder / 'palette.json').write_text(json.dumps({'centres': [[0, 0, 0], [1, 0.5, 0]]}))
    if target.get('tokenizer', {}).get('type') == 'DalleTokenizer':
        target.tokenizer.checkpoint = str(write_dalle(folder / 'encoder.pth'))
    elif 'tokenizer' in target:
        target.tokenizer = {**TOKENIZER, 'patch_size': model.backbone.patch_size}
    if target.get('type') == 'TokenRelationTarget':
        target.update(block=-1, heads=2)
    for holder in (target, model):
        if 'teacher' in holder:
            net = model.backbone
            if holder is target or net.type.endswith('MIMViT'):
                patch = 32 if net.type.endswith('MIMSwin') else net.patch_size  # one for each token
                net = {**TEACHER['backbone'], 'patch_size': patch}
            holder.teacher = {**TEACHER, 'backbone': dict(net)}


def shrunk(path: Path, images: Path, out: Path, options: dict[str, Any] | None = None) -> Config:
    """One step of two images; parts of the recipe's kind, but quick on one core."""
    cfg = read_config(
        path,
        {
            'train_dataloader.dataset.root': str(images),
            'train_dataloader.batch_size': 2,
            'train_dataloader.num_workers': 0,
            'train_dataloader.persistent_workers': False,
            'train_dataloader.sampler.samples_per_epoch': 2,
            'train_cfg.max_epochs': 1,
            'optim_wrapper.precision': 'fp32',
            **(options or {}),
        },
    )
    cfg.auto_scale_lr = None  # two images are a step
    cfg.work_dir = str(out)
    cfg.visualizer = {'type': 'Visualizer', 'name': out.name, 'vis_backends': []}
    cfg.model.backbone.arch = SMALL[cfg.model.backbone.type.rpartition('.')[2]]
    if 'arch' in cfg.model.get('head', {}):
        cfg.model.head.arch = SMALL['MIMSwin']
    if 'early_layers' in cfg.model:
        cfg.model.early_layers = min(cfg.model.early_layers, 9)
    decoder = cfg.model.get('decoder', {})
    if 'arch' in decoder:
        decoder.arch = {**ARCH, 'depth': decoder.arch.depth}
    elif decoder:
        decoder.update(embed_dim=16, num_heads=2)
    if 'hidden_dim' in cfg.model:
        cfg.model.update(hidden_dim=16, out_dim=8)
    bring_files(cfg.model, out)
    return cfg


def train_a_step(cfg: Config) -> None:
    runner = build_runner(cfg)
    before = {name: value.clone() for name, value in runner.model.state_dict().items()}
    runner.train()
    assert runner.iter == 1
    after: dict[str, Any] = runner.model.state_dict()
    assert all(torch.isfinite(value).all() for value in after.values())
    groups = runner.optim_wrapper.optimizer.param_groups
    learnt = {name for name, value in runner.model.named_parameters() if value.requires_grad}
    stepped = {value for group in groups for value in group['params'] if value.requires_grad}
    assert len(stepped) == len(learnt)
    moved = {name for name, value in before.items() if not torch.equal(value, after[name])}
    if cfg.model.type == 'VQKD':
        assert {'quantize.codebook', 'quantize.started'} <= moved
    elif cfg.param_scheduler and not cfg.param_scheduler[0].get('start_ratio'):
        assert not moved & learnt  # its warm-up starts at a rate of 0
    else:
        heads = {name.partition('.')[0] for name in learnt} & {'head', 'projector', 'decoder'}
        assert {'backbone', *heads} <= {name.partition('.')[0] for name in moved & learnt} and heads


@pytest.mark.parametrize('path', RECIPES, ids=lambda path: path.stem)
def test_recipe(path, images, tmp_path) -> None:
    train_a_step(shrunk(path, images, tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize(('study', 'tier', 'row'), ROWS)
def test_row_of_a_study(study, tier, row, images, tmp_path) -> None:
    path = tmp_path / 'row.py'
    path.write_text(config_text(tier.recipe if tier else study.recipe, study.changes(row, tier)))
    train_a_step(shrunk(path, images, tmp_path))


@pytest.mark.parametrize('path', RECIPES, ids=lambda path: path.stem)
def test_no_recipe_says_a_size_twice(path) -> None:
    """Image and patch size stand in the backbone alone."""
    cfg = read_config(path)
    assert 'img_size' in cfg.model.backbone
    # A Hiera's stem has one stride only.
    assert 'patch_size' in cfg.model.backbone or cfg.model.backbone.type.endswith('MIMHiera')
    text = str({key: cfg[key] for key in ('train_dataloader', 'custom_hooks')})
    assert not any(word in text for word in ('img_size', 'patch_size', 'token_size', 'input_size'))


@pytest.mark.slow
@pytest.mark.parametrize('path', RECIPES, ids=lambda path: path.stem)
def test_another_image_size_is_one_option(path, images, tmp_path) -> None:
    """--cfg-options model.backbone.img_size=96: mask, views, head and target follow."""
    side = OTHER_SIDES.get(path.stem, 96)
    cfg = shrunk(path, images, tmp_path, {'model.backbone.img_size': side})
    runner = build_runner(cfg)
    runner.train()
    item = runner.train_dataloader.dataset[(0, (0, 0, 0))]
    assert item['image'].shape[1:] == (side, side)
    if 'target_image' in item:  # DALL-E's cells are 8 px, the student's patches 16
        own = side if 'jitter_target' in cfg.train_dataloader.dataset else side // 2
        assert item['target_image'].shape[1:] == (own, own)


@pytest.mark.parametrize('option', [
    'train_dataloader.dataset.img_size', 'train_dataloader.dataset.masker.img_size',
    'train_dataloader.dataset.masker.patch_size',
])  # fmt: skip
def test_a_contradiction_is_one_line_before_anything_is_trained(option, images, tmp_path) -> None:
    cfg = shrunk(ROOT / 'configs/pretrain/simmim.py', images, tmp_path, {option: 64})
    with pytest.raises(UserError, match=r'_size=64 in the config, but MIMSwin has \d+; leave'):
        build_runner(cfg).train()
    assert not list(tmp_path.glob('*.pth'))


@pytest.mark.parametrize(('name', 'window'), [
    ('simmim', (6, 6, 6, 6)), ('simmim_swin-b_800e', (6, 6, 6, 6)),
    ('simmim_swin-l_800e', (12, 12, 12, 6)), ('simmim_swinv2-b_800e', (12, 12, 12, 6)),
])  # fmt: skip
def test_windows_of_the_stages(name, window) -> None:
    cfg = Config.fromfile(ROOT / f'configs/pretrain/{name}.py')
    backbone = MODELS.build({**cfg.model.backbone, 'arch': SMALL['MIMSwin']})
    plans = backbone._plans(backbone.grid)
    assert tuple(plan.size for plan in plans) == window
