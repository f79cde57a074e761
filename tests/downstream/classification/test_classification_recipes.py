"""Every recipe of classification: as published, whole at its real size, at work at a tiny one."""

import ast
import csv
import re
from functools import cache

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from downstream.evaluation.protocols import recipes
from downstream.registry import MODELS
from mim_backbones.data_spec import load_data_spec
from mim_backbones.training.config import read_config

ALL = {one.path.stem: one for one in recipes().values() if one.protocol.task == 'classification'}
ENDED = '_in1k-224'
FULL = {
    name: one
    for name, one in ALL.items()
    if name.startswith('classifier') and one.protocol.tier == 'full' and name.endswith(ENDED)
}
# Batch, rate, warm-up, layer decay, drop path, erasing, Mixup, CutMix, smoothing.
MIXED, LIGHT, ALONE = (0.25, 0.8, 1.0, 0.1), (0.0, 0.2, 0.0, 0.0), (0.25, 0.0, 0.0, 0.1)
FACTS = {
    # facebookresearch/mae FINETUNE.md
    'classifier_vit-b_mae-pre_100e': (1024, 2e-3, 5, 0.65, 0.1, *MIXED),
    'classifier_vit-l_mae-pre_50e': (1024, 4e-3, 5, 0.75, 0.2, *MIXED),
    'classifier_vit-h_mae-pre_50e': (1024, 4e-3, 5, 0.75, 0.3, *MIXED),
    # none is published: MAE's
    'classifier_vit-b_img2vec-pre_100e': (1024, 2e-3, 5, 0.65, 0.1, *MIXED),
    'classifier_vit-l_img2vec-pre_50e': (1024, 4e-3, 5, 0.75, 0.2, *MIXED),
    'classifier_vit-h_img2vec-pre_50e': (1024, 4e-3, 5, 0.75, 0.3, *MIXED),
    # microsoft/SimMIM configs/*__800ep/simmim_finetune__*
    'classifier_vit-b_simmim-pre_100e': (2048, 5e-3, 20, 0.65, 0.1, *MIXED),
    'classifier_swin-b_simmim-pre_100e': (2048, 5e-3, 20, 0.8, 0.1, *MIXED),
    'classifier_swin-l_simmim-pre_100e': (2048, 5e-3, 20, 0.7, 0.2, *MIXED),
    # microsoft/unilm beit2/get_started_for_image_classification.md
    'classifier_vit-b_beitv2-pre_100e': (1024, 5e-4, 20, 0.6, 0.2, *MIXED),
    'classifier_vit-l_beitv2-pre_50e': (1024, 2e-4, 5, 0.8, 0.2, *MIXED),
    'classifier_vit-b_beitv2-21k-pre_30e': (1024, 5e-5, 20, 0.75, 0.1, *ALONE),
    'classifier_vit-l_beitv2-21k-pre_20e': (1024, 7e-5, 5, 0.8, 0.25, *ALONE),
    # facebookresearch/deit main.py, at 8 x 128
    'classifier_vit-b_mocov3-pre_150e': (1024, 1e-3, 5, 1.0, 0.1, *MIXED),
    # wangsr126/MAE-Lite projects/eval_tools/finetuning_exp.py, finetuning_rpe_exp.py
    'classifier_vit-ti-h12_mae-lite-pre_300e': (1024, 4e-3, 5, 0.85, 0.0, *LIGHT),
    'classifier_vit-ti-h12_mae-lite-pre_1000e': (1024, 4e-3, 5, 0.85, 0.0, *LIGHT),
}
FACTS = {f'{name}{ENDED}': row for name, row in FACTS.items()}
# Parameters in millions, as their papers and model zoos count them.
SIZES = {'base': 86.6, 'large': 304.3, 'huge': 632.0, 'tiny-h12': 5.7}
SWINS = {'base': 87.8, 'large': 196.7}


@cache
def config(name: str) -> Config:
    return read_config(ALL[name].path)


def test_facts_are_of_every_fine_tuning() -> None:
    assert set(FACTS) == set(FULL)


@pytest.mark.parametrize('name', FACTS)
def test_the_recipe_has_the_published_row(name: str) -> None:
    cfg = config(name)
    wrapper, mixing = cfg.optim_wrapper, cfg.model.data_preprocessor
    (curve,) = cfg.param_scheduler
    found = (
        cfg.auto_scale_lr.base_batch_size, wrapper.optimizer.lr, curve.warmup,
        wrapper.paramwise_cfg.layer_decay, cfg.model.backbone.drop_path_rate,
        mixing.erase, mixing.mixup, mixing.cutmix, mixing.smoothing,
    )  # fmt: skip
    assert found == pytest.approx(FACTS[name])
    assert (wrapper.optimizer.betas, wrapper.optimizer.weight_decay) == ((0.9, 0.999), 0.05)
    epochs = int(re.search(r'_(\d+)e_', name)[1])
    assert cfg.train_cfg.max_epochs == curve.end == epochs
    least = 1e-5 if 'moco' in name else 1e-6
    assert curve.min_ratio * wrapper.optimizer.lr == pytest.approx(least)
    magnitude = 10 if 'lite' in name else 9
    view = cfg.train_dataloader.dataset.view
    assert view.rand_augment == f'rand-m{magnitude}-mstd0.5-inc1'
    assert cfg.train_dataloader.drop_last and cfg.train_dataloader.batch_size % 2 == 0


@pytest.mark.parametrize('name', FULL)
def test_name_and_docstring(name: str) -> None:
    assert re.fullmatch(r'classifier_[a-z0-9-]+_[a-z0-9-]+-pre_\d+e_in1k-224', name)
    said = ast.get_docstring(ast.parse(FULL[name].path.read_text()))
    assert 'reported top-1: ' in said and 'reproduced here: not yet' in said
    batch, processes = FACTS[name][0], FACTS[name][0] // config(name).train_dataloader.batch_size
    assert re.search(rf'batch {batch}\b', said)
    called = f'tools/dist_train.sh configs/downstream/classification/{name}.py {processes} '
    assert called in said
    assert FULL[name].protocol.arch == config(name).model.backbone.arch


def test_frameworks_are_those_of_published_rows(shared) -> None:
    with (shared / 'reference' / 'published_results.csv').open() as file:
        known = {row['framework'] for row in csv.DictReader(file) if row['metric'] == 'top1'}
    assert {one.protocol.framework for one in FULL.values()} - {''} <= known


def test_the_transfer_to_small_sets_has_the_published_row() -> None:
    """wangsr126/MAE-Lite projects/eval_tools/finetuning_transfer_exp.py, scripts/transfer.sh."""
    name = 'classifier_vit-ti-h12_mae-lite-pre_50e_cifar100-224'
    cfg = config(name)
    wrapper, (curve,) = cfg.optim_wrapper, cfg.param_scheduler
    assert wrapper.optimizer == dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=0.0)
    assert wrapper.clip_grad == dict(max_norm=1.0)
    assert wrapper.paramwise_cfg == dict(layer_decay=0.75)
    assert cfg.auto_scale_lr.base_batch_size == 512 and cfg.train_cfg.max_epochs == 50
    assert (curve.warmup, curve.end) == (10, 50)
    assert curve.min_ratio * 0.1 == pytest.approx(1e-6)
    assert cfg.model.data_preprocessor == dict(erase=0.0, mixup=0.0, cutmix=0.0, smoothing=0.0)
    assert cfg.model.backbone.drop_path_rate == 0.0 and cfg.model.backbone.arch == 'tiny-h12'
    view = cfg.train_dataloader.dataset.view
    assert view.rand_augment == '' and cfg.train_dataloader.dataset.layout == 'cifar'
    said = ast.get_docstring(ast.parse(ALL[name].path.read_text()))
    assert 'reproduced here: not yet' in said and 'batch 512' in said


# facebookresearch/mae main_linprobe.py, FINETUNE.md: epochs and patch; batch 16384 for all.
PROBES = {'b': (90, 16), 'l': (50, 16), 'h': (50, 14)}


@pytest.mark.parametrize('size', PROBES)
def test_maes_linear_probes_have_the_published_row(size: str) -> None:
    epochs, patch = PROBES[size]
    name = f'linear_vit-{size}_mae-pre_{epochs}e_in1k-224'
    cfg, optimizer = config(name), config(name).optim_wrapper.optimizer
    assert optimizer == dict(type='mim_backbones.LARS', lr=6.4, momentum=0.9, weight_decay=0.0)
    (curve,) = cfg.param_scheduler
    assert (curve.warmup, curve.min_ratio, curve.end) == (10, 0.0, epochs)
    assert cfg.train_cfg.max_epochs == epochs and cfg.model.backbone.patch_size == patch
    assert cfg.auto_scale_lr.base_batch_size == 16384
    said = ast.get_docstring(ast.parse(ALL[name].path.read_text()))
    assert 'reproduced here: not yet' in said and 'batch 16384' in said


@pytest.mark.parametrize('name', [name for name in ALL if name.startswith('classifier')])
def test_it_builds_at_its_real_size(name: str) -> None:
    init_default_scope('downstream')
    with torch.device('meta'):
        model = MODELS.build(config(name).model)
        side = config(name).model.backbone.img_size
        classes = 100 if 'cifar100' in name else 1000
        assert model(torch.zeros(2, 3, side, side)).shape == (2, classes)
    if name in FULL:
        millions = sum(parameter.numel() for parameter in model.parameters()) / 1e6
        sizes = SWINS if FULL[name].protocol.family == 'swin' else SIZES
        assert millions == pytest.approx(sizes[FULL[name].protocol.arch], abs=0.15)


FAMILIES = {
    'vit': {'type': 'mim_backbones.MIMViT', 'arch': {'embed_dim': 24, 'depth': 2, 'num_heads': 3},
            'img_size': 64, 'patch_size': 16},
    'swin': {'type': 'mim_backbones.MIMSwin', 'img_size': 64, 'window_size': 2,
             'arch': {'embed_dim': 8, 'depths': (1, 1, 1, 1), 'num_heads': (1, 1, 2, 2)}},
    'hiera': {'type': 'mim_backbones.MIMHiera', 'img_size': 64,
              'arch': {'embed_dim': 8, 'depths': (1, 1, 1, 1), 'num_heads': 1}},
}  # fmt: skip


@pytest.mark.parametrize('family', FAMILIES)
def test_every_family_trains_and_scores(family, world, make_job, train_job) -> None:
    options = {'train_cfg.max_iters': 2, 'train_dataloader.batch_size': 4}
    job = make_job('classification', None, backbone=FAMILIES[family], options=options)
    assert job.protocol.name == f'classifier-{family}-smoke'
    found = train_job(job, load_data_spec(world))
    assert set(found.metrics) == {'top1', 'top5', 'ece'}
    assert sum(row['pictures'] for row in found.tables['calibration'].values()) == 8
    assert len(found.units) == 8
    assert found.units.observed() == found.metrics


@pytest.mark.parametrize('name', [
    name for name, one in ALL.items()
    if name.startswith('classifier') and one.protocol.tier == 'full'
])  # fmt: skip
def test_every_recipe_trains_and_scores_a_tiny_backbone(name, world, make_job, train_job) -> None:
    """Its own rules, batches of eight in two parts."""
    recipe = ALL[name]
    options = {
        'train_dataloader.batch_size': 4, 'auto_scale_lr.base_batch_size': 8,
        'train_dataloader.num_workers': 0, 'train_dataloader.persistent_workers': False,
        'model.backbone.img_size': 64, 'train_dataloader.dataset.view.img_size': 64,
        'test_dataloader.dataset.view.img_size': 64, 'test_dataloader.num_workers': 0,
        'test_dataloader.persistent_workers': False,
    }  # fmt: skip
    by_steps = 'max_iters' in config(name).train_cfg
    options['train_cfg.max_iters' if by_steps else 'train_cfg.max_epochs'] = 1
    job = make_job(
        'classification', None, backbone=FAMILIES[recipe.protocol.family], options=options,
        protocol=recipe.protocol, recipe=str(recipe.path),
    )  # fmt: skip
    found = train_job(job, load_data_spec(world))
    assert {'top1', 'top5', 'ece'} <= set(found.metrics)
    assert len(found.units) == 8
