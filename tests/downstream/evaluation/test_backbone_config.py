"""Every recipe takes every checkpoint of its family, and what belongs to the protocol survives."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope

from downstream.evaluation.backbone_config import (
    architecture_name,
    family_of,
    fit_backbone,
    named_arch,
    scaled,
    size_of,
    spread,
)
from downstream.evaluation.job_config import job_config
from downstream.evaluation.protocols import recipes
from mim_backbones.data_spec import DataSpec, load_data_spec
from mim_backbones.errors import UserError
from mim_backbones.registry import MODELS

VIT = {'type': 'mim_backbones.MIMViT', 'img_size': 64, 'patch_size': 16, 'mask_token': True,
       'arch': {'embed_dim': 64, 'depth': 12, 'num_heads': 4}}  # fmt: skip
DEEP = {'arch': {'embed_dim': 64, 'depth': 24, 'num_heads': 4}}
SWIN = {'type': 'mim_backbones.MIMSwin', 'img_size': 64, 'window_size': 4, 'mask_token': True,
        'arch': {'embed_dim': 24, 'depths': (1, 2, 1, 1), 'num_heads': (1, 2, 4, 8)}}  # fmt: skip
HIERA = {'type': 'mim_backbones.MIMHiera', 'img_size': 64, 'mask_token': True,
         'arch': {'embed_dim': 24, 'depths': (1, 1, 2, 1), 'num_heads': 1}}  # fmt: skip
BEIT = {'pos_embed': 'none', 'qkv_bias': 'qv', 'layer_scale': 0.1}
CHECKPOINTS = {
    'mae': {**VIT, 'pos_embed': 'sincos'},
    'no-cls': {**VIT, 'cls_token': False},
    'deep': {**VIT, **DEEP},
    'patch-8': {**VIT, 'patch_size': 8},
    'beit': {**VIT, **BEIT, 'rel_pos_bias': 'shared'},
    'beit-fine-tuned': {**VIT, **BEIT, 'rel_pos_bias': 'per_block', 'final_norm': False,
                        'fc_norm': True, 'frozen_stages': 2, 'drop_path_rate': 0.3},
    'beit-deep': {**VIT, **BEIT, **DEEP, 'rel_pos_bias': 'shared'},
    'registers': {**VIT, 'num_registers': 2, 'layer_scale': 1.0},
    'vitdet': {**VIT, 'cls_token': False, 'window_size': 2, 'global_blocks': (11,),
               'decomposed_rel_pos': True},
    'swin': SWIN,
    'swin-several': {**SWIN, 'out_indices': (1, 3), 'absolute_pos_embed': True},
    'swin-v2': {**SWIN, 'version': 2},
    'swin-v2-moved': {**SWIN, 'version': 2, 'pretrained_window_sizes': (8, 8, 8, 4)},
    'hiera': HIERA,
    'hiera-q2': {**HIERA, 'q_pool': 2, 'fc_norm': True},
}  # fmt: skip


RECIPES = recipes()


@cache
def model_of(name: str) -> ConfigDict:
    return Config.fromfile(RECIPES[name].path).model


def states(name: str) -> tuple:
    """What decides how a recipe takes a checkpoint, apart from sizes and rates."""
    said = RECIPES[name]
    backbone = model_of(name).backbone
    return said.protocol.task, said.protocol.tier, said.protocol.family, *sorted(backbone)


# Recipes of one family differ in sizes and heads: one of them stands for those that state the same.
KINDS = {states(name): name for name in RECIPES}
# Where a checkpoint contradicts a protocol and no rule helps.
REFUSED = {
    (name, checkpoint): message
    for name in KINDS.values()
    if model_of(name).backbone.get('rel_pos_bias') == 'per_block'
    for checkpoint, message in (
        ('registers', 'register tokens have no relative positions'),
        ('vitdet', 'relative positions of two kinds'),
    )
}
REFUSED |= {
    (name, checkpoint): 'reads the CLS token, which this checkpoint lacks'
    for name in KINDS.values()
    if model_of(name).get('pool') == 'cls' or model_of(name).get('pools') == ('cls',)
    for checkpoint in ('no-cls', 'vitdet')
}
REFUSED |= {
    (name, 'beit-fine-tuned'): 'reads the final norm, which this checkpoint lacks'
    for name in KINDS.values()
    if model_of(name).get('norms') == ('final_batch',)
}
REFUSED |= {
    (name, 'swin-several'): 'reads the final norm, which this checkpoint lacks'
    for name in KINDS.values()
    if RECIPES[name].protocol.task == 'classification'
}
PAIRS = [
    (name, checkpoint)
    for name in sorted(KINDS.values())
    for checkpoint, config in CHECKPOINTS.items()
    if RECIPES[name].protocol.family == family_of(config)
]


def write(folder: Path, config: dict) -> Path:
    """The file pre-training leaves, every tensor with numbers of its own."""
    torch.manual_seed(2)
    backbone = MODELS.build(dict(config))
    state = {f'backbone.{k}': torch.randn_like(v) / 50 for k, v in backbone.state_dict().items()}
    path = folder / 'epoch_1.pth'
    torch.save({'state_dict': state, 'meta': {'mimbench': {'backbone': config}}}, path)
    return path


@pytest.fixture
def spec(world: Path) -> DataSpec:
    """The tiny world, which also stands for every further set that trackers train on."""
    found = load_data_spec(world)
    further = dict.fromkeys(('synthetic', 'got10k', 'trackingnet', 'coco'), found['tracking'].root)
    return DataSpec(found.file, {**found, 'tracking': replace(found['tracking'], **further)})


@pytest.mark.parametrize(('name', 'checkpoint'), PAIRS)
def test_it_builds_takes_the_weights_and_the_protocol_survives(
    name, checkpoint, spec, make_job, tmp_path
) -> None:
    recipe, recorded = RECIPES[name], CHECKPOINTS[checkpoint]
    path = write(tmp_path, recorded)
    job = make_job(
        recipe.protocol.task, path, backbone=recorded, protocol=recipe.protocol,
        recipe=str(recipe.path),
    )  # fmt: skip
    if (name, checkpoint) in REFUSED:
        with pytest.raises(UserError, match=REFUSED[name, checkpoint]):
            job_config(job, spec)
        return
    before = Config.fromfile(recipe.path)
    cfg = job_config(job, spec)
    init_default_scope(cfg.default_scope)
    with torch.device('meta'):  # the whole model: neck and heads fit the maps
        model = MODELS.build(cfg.model)
    assert cfg.default_scope == 'downstream' or model.with_neck == bool(before.model.get('neck'))

    backbone = MODELS.build(cfg.model.backbone)
    backbone.init_weights()
    for key in ('patch_embed.proj.weight', 'norm1.weight', 'mlp.fc2.weight'):
        ours = next((v for k, v in backbone.state_dict().items() if key in k), None)
        theirs = next((v for k, v in torch.load(path)['state_dict'].items() if key in k), None)
        assert torch.equal(ours, theirs), key
    assert backbone.mask_token is None
    pooled = recipe.protocol.task == 'classification' and before.model.backbone.get('fc_norm')
    assert any('fc_norm' in key for key in backbone.state_dict()) == bool(pooled)
    kept, given = before.model.backbone, cfg.model.backbone
    for key in ('drop_path_rate', 'final_norm', 'small_maps', 'output_norm', 'q_pool'):
        assert given.get(key) == kept.get(key, recorded.get(key) if key == 'final_norm' else None)
    assert 'frozen_stages' not in given
    assert backbone.frozen_stages == -1
    dense = cfg.default_scope != 'downstream' or 'out_indices' in kept
    maps = backbone(torch.randn(1, 3, 64, 64)) if dense else ()
    assert len(maps) == len(kept.get('out_indices', maps))
    if 'out_indices' in kept and recipe.protocol.family == 'vit':
        assert given.out_indices[-1] == backbone.depth - 1
        if backbone.depth == 24:
            assert given.out_indices == scaled(kept.out_indices, size_of(kept)['depth'], 24)


@pytest.mark.parametrize(
    'name', sorted(name for name in KINDS.values() if RECIPES[name].protocol.family == 'vit')
)
def test_relative_positions_are_kept_added_or_left_out(name, spec, make_job, tmp_path) -> None:
    """Published UperNet: a table in each block, from the checkpoint or zero at first."""
    recipe = RECIPES[name]
    asked = Config.fromfile(recipe.path).model.backbone.get('rel_pos_bias')
    for checkpoint in ('mae', 'beit'):
        recorded = CHECKPOINTS[checkpoint]
        path = write(tmp_path, recorded)
        job = make_job(
            recipe.protocol.task, path, backbone=recorded, protocol=recipe.protocol,
            recipe=str(recipe.path),
        )  # fmt: skip
        cfg = job_config(job, spec)
        backbone = MODELS.build(cfg.model.backbone)
        backbone.init_weights()
        tables = [v for k, v in backbone.state_dict().items() if 'bias_table' in k]
        shared = asked is None and checkpoint == 'beit'
        wanted = 12 if asked == 'per_block' else int(shared)
        assert len(tables) == wanted
        assert all(bool(table.any()) == (checkpoint == 'beit') for table in tables)


def fit(recipe: dict, recorded: dict, protocol: dict | None = None, **extra) -> dict:
    cfg = Config({'model': {'backbone': recipe}, 'protocol': protocol or {'name': 'p'}, **extra})
    fit_backbone(cfg, SimpleNamespace(backbone=recorded, checkpoint=None))
    return cfg


RECIPE = {'type': 'mim_backbones.MIMViT', 'arch': 'base', 'img_size': 128, 'patch_size': 16,
          'cls_token': False, 'window_size': 4, 'global_blocks': (2, 5, 8, 11),
          'init_cfg': {'checkpoint': 'old.pth', 'weights': 'ema'}}  # fmt: skip


def test_windows_keep_their_pixels_and_the_weights_their_options() -> None:
    config = fit(RECIPE, CHECKPOINTS['patch-8']).model.backbone
    assert config.window_size == 8  # 64 px, as 4 patches of 16 in the recipe
    assert config.global_blocks == (2, 5, 8, 11)
    assert config.cls_token is False
    assert config.init_cfg == {'type': 'Pretrained', 'checkpoint': None, 'weights': 'ema'}
    deep = fit(RECIPE, CHECKPOINTS['deep']).model.backbone
    assert deep.global_blocks == (5, 11, 17, 23)


def test_a_layer_scale_of_ones_is_added_and_others_are_not() -> None:
    for start, wanted in ((1.0, 1.0), (0.1, None)):
        config = fit({**RECIPE, 'layer_scale': start}, CHECKPOINTS['mae']).model.backbone
        assert config.get('layer_scale') == wanted
    kept = fit({**RECIPE, 'layer_scale': 1.0, 'rel_pos_bias': 'none'}, CHECKPOINTS['beit'])
    assert kept.model.backbone.layer_scale == CHECKPOINTS['beit']['layer_scale']


@pytest.mark.parametrize('checkpoint', ['beit', 'registers'])
def test_without_a_place_in_windows_every_block_is_global(checkpoint) -> None:
    config = fit(RECIPE, CHECKPOINTS[checkpoint]).model.backbone
    assert 'window_size' not in config
    assert MODELS.build(config).num_cls == 1
    plain = fit({**RECIPE, 'rel_pos_bias': 'none'}, CHECKPOINTS['beit']).model.backbone
    assert plain.window_size == 4
    assert plain.init_cfg.leave_out == ['rel_pos_bias']


@pytest.mark.parametrize(
    ('recipe', 'recorded', 'message'),
    [
        (RECIPE, {**VIT, 'patch_size': 12, 'img_size': 72}, '12 px do not divide the windows'),
        ({**RECIPE, 'window_size': 0}, {**VIT, 'patch_size': 12, 'img_size': 72}, 'not a multiple'),
        ({**RECIPE, 'out_indices': (3, 5, 7, 11)}, {**VIT, 'arch': {**VIT['arch'], 'depth': 7}},
         r'blocks \(3, 5, 7, 11\) of 12 have no equals among its 7'),
        ({**RECIPE, 'out_indices': (2, 5, 8, 11)}, {**VIT, 'arch': {**VIT['arch'], 'depth': 2}},
         'it has 2 blocks, the protocol takes 4'),
        ({**RECIPE, 'rel_pos_bias': 'shared'}, CHECKPOINTS['beit-fine-tuned'], 'not one for all'),
        (RECIPE, SWIN, 'the recipe is made for vit backbones'),
        ({'type': 'MIMSwin', 'out_indices': (0, 1, 2, 3)},
         {**SWIN, 'arch': {'embed_dim': 24, 'depths': (1, 1), 'num_heads': (1, 2)}},
         '2 stages, the protocol takes maps of'),
    ],
)  # fmt: skip
def test_a_contradiction_is_one_line(recipe, recorded, message) -> None:
    with pytest.raises(UserError, match=f'does not fit protocol p: .*{message}') as found:
        fit(recipe, recorded)
    assert '\n' not in str(found.value)


def test_options_by_size() -> None:
    large = {'model.backbone.drop_path_rate': 0.4, 'optim_wrapper.layer_decay': 0.8}
    rules = {'name': 'p', 'by_arch': {'large': large}}
    optim = {'layer_decay': 0.7}
    recipe = {**RECIPE, 'drop_path_rate': 0.1}
    large = fit(recipe, {**VIT, 'arch': 'large'}, rules, optim_wrapper=dict(optim))
    assert (large.model.backbone.drop_path_rate, large.optim_wrapper.layer_decay) == (0.4, 0.8)
    base = fit(recipe, {**VIT, 'arch': 'base'}, rules, optim_wrapper=dict(optim))
    assert (base.model.backbone.drop_path_rate, base.optim_wrapper.layer_decay) == (0.1, 0.7)
    spelled = {'embed_dim': 1024, 'depth': 24, 'num_heads': 16}
    assert named_arch({'type': 'MIMViT', 'arch': spelled}) == 'large'
    assert named_arch({**SWIN, 'arch': {**SWIN['arch'], 'depths': [1, 2, 1, 1]}}) == ''


def test_v2_normalises_its_offsets_as_in_pretraining() -> None:
    recipe = {'type': 'MIMSwin', 'out_indices': (0, 1, 2, 3), 'img_size': 128}
    # 64 px at stride 4, 8, 16, 32: the last map of 2 x 2 was one window.
    found = fit(recipe, CHECKPOINTS['swin-v2']).model.backbone
    assert found.pretrained_window_sizes == (4, 4, 4, 2)
    found = fit(recipe, CHECKPOINTS['swin-v2-moved']).model.backbone
    assert found.pretrained_window_sizes == (8, 8, 8, 4)


def test_blocks_are_spread_evenly_or_keep_their_share() -> None:
    assert spread(12, 4) == (2, 5, 8, 11)
    assert spread(24, 1) == (23,)
    assert scaled((0, 2, 3, 5), 6, 12) == (2, 5, 8, 11)
    assert scaled((-1,), 12, 24) == (23,)
    assert scaled((3, 5, 7, 11), 12, 24) == (7, 11, 15, 23)  # BEiT's large recipe


def test_family_of_a_class_of_ones_own() -> None:
    from mim_backbones.backbones.swin import MIMSwin

    @MODELS.register_module(name='OwnSwin', force=True)
    class OwnSwin(MIMSwin):
        pass

    assert family_of({'type': 'mim_backbones.OwnSwin'}) == 'swin'
    assert family_of({'type': 'MIMHiera'}) == 'hiera'
    assert family_of({'type': 'mmdet.ResNet'}) == ''


@pytest.mark.parametrize(
    ('config', 'name'),
    [
        ({'type': 'mim_backbones.MIMViT', 'arch': 'tiny', 'patch_size': 16}, 'MIMViT tiny/16'),
        ({'type': 'MIMViT'}, 'MIMViT base/16'),
        ({**VIT, 'patch_size': 8}, 'MIMViT 64x12/8'),
        ({**SWIN, 'version': 2}, 'MIMSwin V2 24x1-2-1-1/4'),
        ({'type': 'MIMHiera', 'arch': 'tiny'}, 'MIMHiera tiny/4'),
    ],
)
def test_architecture_name(config, name) -> None:
    assert architecture_name(config) == name
