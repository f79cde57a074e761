from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from downstream.evaluation.protocols import recipes
from downstream.tracking.data import TrackingData
from downstream.tracking.task import TASK, fit_data
from mim_backbones.errors import UserError
from mim_backbones.training.config import read_config
from mim_backbones.training.launch import build_runner
from tests.downstream.tracking.conftest import lasot, write_lasot

RECIPES = {name: one for name, one in recipes().items() if one.protocol.task == 'tracking'}
QUICK = [name for name, one in RECIPES.items() if one.protocol.tier != 'full']
TINY = {
    'vit': {'embed_dim': 32, 'depth': 5, 'num_heads': 2},
    'swin': {'embed_dim': 8, 'depths': (1, 1, 1, 1), 'num_heads': (1, 2, 2, 2)},
    'hiera': {'embed_dim': 8, 'depths': (1, 1, 1, 1), 'num_heads': 1},
}


@pytest.mark.parametrize('name', QUICK)
def test_a_recipe_trains_and_the_task_scores_it(name, lasot_root, world, tmp_path):
    """The recipe as it is, two steps of it, with mmengine's Runner; its loop scores."""
    options = {
        'train_dataloader.batch_size': 4,
        'train_dataloader.dataset.min_frames': 10,
        'train_cfg.max_iters': 2,
        'work_dir': str(tmp_path / 'work'),
    }
    cfg = read_config(RECIPES[name].path, options)
    others = write_lasot(tmp_path / 'others', train=2)
    fit_data(cfg, TrackingData(lasot_root, synthetic=others, coco=world / 'coco'))
    runner = build_runner(cfg)
    runner.train()
    found = TASK.run(runner, None)
    assert all(0 <= value <= 100 for value in found.metrics.values())
    assert found.units.names == ('tile-1', 'tile-2', 'tile-3')
    assert set(found.metrics) == {'AUC', 'P', 'P_norm'}
    assert found.rules == 'ostrack'
    assert found.tables['protocols']['ostrack'] == pytest.approx(found.metrics)
    assert 'pytracking' in found.tables['protocols']
    assert {'curves.png', 'tracks.png'} <= set(found.pictures)
    assert ('confidence.png' in found.pictures) == ('presence' in found.tables)
    png = found.pictures['tracks.png']
    picture = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape[0] > 3 * 150
    assert picture.shape[1] > 5 * 150


@pytest.mark.parametrize('name', ['one-stream-b-256', 'two-branch-swin', 'two-branch-hiera'])
def test_a_full_recipe_trains_when_it_is_small(name, lasot_root, tmp_path):
    """All of it but the size of the model, the batch and the data."""
    options = {
        'train_dataloader.batch_size': 2,
        'train_dataloader.num_workers': 0,
        'train_dataloader.persistent_workers': False,
        'train_dataloader.dataset.min_frames': 10,
        'auto_scale_lr.base_batch_size': 2,
        'model.head.channels': 16,
        'train_cfg.max_iters': 2,
        'work_dir': str(tmp_path),
    }
    cfg = read_config(RECIPES[name].path, options)
    cfg.model.backbone.arch = TINY[RECIPES[name].protocol.family]
    cfg.train_dataloader.dataset.sets = lasot(lasot_root)
    cfg.test_dataloader.dataset.root = str(lasot_root)
    runner = build_runner(cfg)
    runner.train()
    rates = {group['lr'] for group in runner.optim_wrapper.param_groups}
    assert sorted(rates) == pytest.approx([4e-5, 4e-4])
    if name == 'one-stream-b-256':
        assert runner.model.share == 1.0  # the first of 20 epochs without elimination
        own = {id(runner.model.template_pos), id(runner.model.search_pos)}
        slow = [g for g in runner.optim_wrapper.param_groups if g['lr'] < 1e-4]
        assert own <= {id(parameter) for group in slow for parameter in group['params']}


def test_every_set_finds_its_place(tmp_path):
    cfg = read_config(RECIPES['one-stream-b-256'].path)
    data = TrackingData(
        tmp_path / 'lasot', train_list='mine.txt', got10k=tmp_path / 'got',
        coco=tmp_path / 'coco', trackingnet=tmp_path / 'net', synthetic=tmp_path / 'world',
    )  # fmt: skip
    fit_data(cfg, data)
    sets = {one.name: one for one in cfg.train_dataloader.dataset.sets}
    assert {name: one.root.rpartition('/')[2] for name, one in sets.items()} == {
        'lasot': 'lasot', 'got10k': 'got', 'coco': 'coco', 'trackingnet': 'net',
    }  # fmt: skip
    assert sets['lasot'].train_list == 'mine.txt'
    assert cfg.test_dataloader.dataset.root == str(tmp_path / 'lasot')
    with pytest.raises(UserError, match='trains on got10k too; add `got10k: FOLDER`'):
        fit_data(cfg, TrackingData(tmp_path / 'lasot'))


@pytest.mark.parametrize(
    ('name', 'backbone', 'sizes'),
    [
        ('one-stream-vit-lasot', {'type': 'MIMViT', 'arch': 'tiny', 'patch_size': 8}, (64, 128)),
        ('one-stream-vit-lasot', {'type': 'MIMViT', 'arch': 'tiny'}, (128, 256)),
        ('two-branch-swin-lasot', {'type': 'MIMSwin', 'arch': 'small'}, (128, 256)),
        ('two-branch-hiera-lasot', {'type': 'MIMHiera', 'arch': 'base'}, (128, 256)),
    ],
)
def test_a_checkpoint_of_any_patch_sees_as_many_tokens(name, backbone, sizes, tmp_path):
    cfg = read_config(RECIPES[name].path)
    job = SimpleNamespace(backbone=backbone, checkpoint=None, seed=3)
    TASK.fit(cfg, job, TrackingData(tmp_path))
    assert (cfg.model.template_size, cfg.model.search_size) == sizes
    assert cfg.model.backbone.arch == backbone['arch']
    assert cfg.train_dataloader.dataset.search_size == cfg.model.backbone.img_size == sizes[1]
    assert cfg.train_dataloader.dataset.seed == 3
