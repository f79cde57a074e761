"""Every detection recipe: as published, whole at its real size, and at work at a tiny one."""

import copy
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DATASETS, OPTIM_WRAPPER_CONSTRUCTORS, init_default_scope

from downstream.costs.count import resize
from downstream.detection.task import TASK, fit_data
from downstream.evaluation.backbone_config import fit_backbone, fit_neck
from downstream.evaluation.protocols import find_protocol, recipes
from mim_backbones.backbones.archs import HIERA, SWIN, VIT
from mim_backbones.data_spec import load_data_spec
from mim_backbones.registry import MODELS
from mim_backbones.training.config import read_config

ALL = {name: one for name, one in recipes().items() if one.protocol.task == 'detection'}
FULL = sorted(name for name, one in ALL.items() if one.protocol.tier == 'full')
SIZED = [(name, arch) for name in FULL for arch in ALL[name].sizes]
SIZES = {'vit': VIT, 'swin': SWIN, 'hiera': HIERA}


@cache
def config(name: str, arch: str = '') -> Config:
    cfg = read_config(ALL[name].path)
    if arch and arch != cfg.model.backbone.arch:
        resize(cfg, arch)
    return cfg


# ------------------------------------------------------------------ as published

# detectron2, projects/ViTDet/configs/COCO: width, depth, global blocks, drop path, layer decay,
# iterations, steps. Width and depth: also the release's. 75 epochs are three quarters of 100.
VITDET = {
    'b': (768, 12, (2, 5, 8, 11), 0.1, 0.7, 184375, (163889, 177546)),
    'l': (1024, 24, (5, 11, 17, 23), 0.4, 0.8, 184375, (163889, 177546)),
    'h': (1280, 32, (7, 15, 23, 31), 0.5, 0.9, 138281, (122916, 133159)),
}
# wangsr126/MAE-Lite, projects/eval_tools/det: the same of its ViT-Tiny, at 640 px.
LITE = (192, 12, (2, 5, 8, 11), 0.0, 1.0, 184375, (163888, 177546))


@pytest.mark.parametrize('head', ['mask-rcnn', 'cascade-mask-rcnn'])
@pytest.mark.parametrize('size', VITDET)
def test_vitdet_has_the_published_table(head: str, size: str) -> None:
    check_vitdet(config(f'{head}-vitdet-{size}'), VITDET[size], side=1024)
    paramwise = config(f'{head}-vitdet-{size}').optim_wrapper.paramwise_cfg
    assert paramwise.exempt == ([] if size == 'h' else ['norm1', 'norm2', 'pos_embed'])


def test_mae_lites_vitdet_has_its_table() -> None:
    cfg = config('mask-rcnn-vitdet-ti-640')
    check_vitdet(cfg, LITE, side=640)
    assert cfg.optim_wrapper.optimizer.weight_decay == 0.05
    assert cfg.model.backbone.arch == 'tiny-h12'


def check_vitdet(cfg: Config, row: tuple, side: int) -> None:
    backbone = cfg.model.backbone
    arch = VIT[backbone.arch]
    warm_up, steps = cfg.param_scheduler
    found = (
        arch['embed_dim'], arch['depth'], tuple(backbone.global_blocks), backbone.drop_path_rate,
        cfg.optim_wrapper.paramwise_cfg.layer_decay, cfg.train_cfg.max_iters,
        tuple(steps.milestones),
    )  # fmt: skip
    assert found == row
    assert (backbone.window_size, backbone.img_size, backbone.decomposed_rel_pos) == (
        14,
        side,
        True,
    )
    assert cfg.model.data_preprocessor.pad_size_divisor == side
    assert cfg.auto_scale_lr == dict(enable=False, base_batch_size=64)
    assert cfg.optim_wrapper.optimizer.lr == 1e-4
    assert (warm_up.start_factor, warm_up.end) == (0.001, 251)
    jitter = cfg.train_dataloader.dataset.pipeline[0]
    assert jitter == dict(
        type='downstream.LargeScaleJitter', size=(side, side), ratio_range=(0.1, 2.0), flip=0.5,
        pad=False,
    )  # fmt: skip
    assert cfg.test_dataloader.dataset.pipeline[1].scale == (side, side)


def test_vitdets_cascade_has_the_published_stages() -> None:
    """detectron2, projects/ViTDet/configs/COCO/cascade_mask_rcnn_vitdet_b_100ep.py."""
    model = config('cascade-mask-rcnn-vitdet-b').model
    heads, stages = model.roi_head.bbox_head, model.train_cfg.rcnn
    assert [stage.assigner.pos_iou_thr for stage in stages] == [0.5, 0.6, 0.7]
    weights = [[1 / std for std in head.bbox_coder.target_stds] for head in heads]
    expected = [[10, 10, 5, 5], [20, 20, 10, 10], [30, 30, 15, 15]]
    assert [pytest.approx(each) for each in weights] == expected
    assert all(head.reg_class_agnostic and head.loss_bbox.type == 'L1Loss' for head in heads)
    assert isinstance(model.roi_head.mask_head, dict)


# SwinTransformer/Swin-Transformer-Object-Detection, configs/swin: drop path of what is released.
SWIN_DROP_PATH = {
    ('mask-rcnn-swin-1x', 'tiny'): 0.1, ('mask-rcnn-swin-3x', 'tiny'): 0.2,
    ('mask-rcnn-swin-3x', 'small'): 0.2, ('cascade-mask-rcnn-swin-1x', 'tiny'): 0.0,
    ('cascade-mask-rcnn-swin-3x', 'tiny'): 0.2, ('cascade-mask-rcnn-swin-3x', 'small'): 0.2,
    ('cascade-mask-rcnn-swin-3x', 'base'): 0.3,
}  # fmt: skip


@pytest.mark.parametrize(('name', 'arch'), [one for one in SIZED if 'vit' not in one[0]])
def test_stages_with_fpn_follow_swins_release(name: str, arch: str) -> None:
    cfg, times = config(name, arch), 3 if name.endswith('3x') else 1
    assert cfg.train_cfg.max_epochs == 12 * times
    assert list(cfg.param_scheduler[1].milestones) == ([27, 33] if times == 3 else [8, 11])
    assert (cfg.optim_wrapper.optimizer.lr, cfg.auto_scale_lr.base_batch_size) == (1e-4, 16)
    rate = cfg.model.backbone.drop_path_rate
    assert rate == SWIN_DROP_PATH.get((name, arch), rate)


# lxtGH/CAE downstream_tasks/detection and bytedance/ibot evaluation/README.md: batch, rate, layer
# decay, drop path, epochs, steps.
BLOCK_MAPS = {
    'mask-rcnn-vit-b-cae-1x': (32, 3e-4, 0.75, 0.2, 12, [9, 11]),
    'mask-rcnn-vit-l-cae-1x': (32, 2e-4, 0.85, 0.2, 12, [9, 11]),
    'cascade-mask-rcnn-vit-b-ibot-1x': (16, 1e-4, 0.75, 0.2, 12, [8, 11]),
    'cascade-mask-rcnn-vit-s-ibot-1x': (32, 1e-4, 0.8, 0.1, 12, [8, 11]),
}


@pytest.mark.parametrize('name', BLOCK_MAPS)
def test_cae_and_ibot_have_their_rows(name: str) -> None:
    cfg = config(name)
    found = (
        cfg.auto_scale_lr.base_batch_size, cfg.optim_wrapper.optimizer.lr,
        cfg.optim_wrapper.paramwise_cfg.layer_decay, cfg.model.backbone.drop_path_rate,
        cfg.train_cfg.max_epochs, list(cfg.param_scheduler[1].milestones),
    )  # fmt: skip
    assert found == BLOCK_MAPS[name]
    depth = VIT[cfg.model.backbone.arch]['depth']
    published = (3, 5, 7, 11) if depth == 12 else (7, 11, 15, 23)
    assert tuple(cfg.model.backbone.out_indices) == published


@pytest.mark.parametrize('epochs', [25, 50, 100])
def test_the_older_recipe_has_the_rows_of_its_rerun(epochs: int) -> None:
    """hustvl/MIMDet, configs/benchmarking."""
    cfg = config(f'mask-rcnn-vit-b-{epochs}e')
    assert cfg.train_cfg.max_iters == 184375 // (100 // epochs)
    warm_up, cosine = cfg.param_scheduler
    assert (warm_up.end, cosine.end) == (461, cfg.train_cfg.max_iters)  # 0.25 epochs; to the end
    assert cfg.optim_wrapper.optimizer.lr == 8e-5
    assert cfg.model.backbone.window_size == 16


@pytest.mark.parametrize('name', FULL)
def test_a_name_says_head_arch_method_schedule_and_data(name: str) -> None:
    head, arch, method, schedule, data = ALL[name].path.stem.split('_')
    assert head.startswith(('mask-rcnn', 'cascade-mask-rcnn')) and method.endswith('-pre')
    assert schedule[-1] in 'ex' and data.startswith('coco')
    assert arch.split('-')[0] == ALL[name].protocol.family
    assert set(ALL[name].sizes) <= set(SIZES[ALL[name].protocol.family])
    assert config(name).model.backbone.arch in ALL[name].sizes
    text = ALL[name].path.read_text().partition('\n"""\n')[0]
    assert 'reproduced here: not yet' in text and 'reported' in text
    assert f'batch {config(name).auto_scale_lr.base_batch_size}' in text
    assert ALL[name].path.name in text
    assert max(map(len, ALL[name].path.read_text().splitlines())) <= 100


# ------------------------------------------------------------------ at its real size

# Millions: README of Swin-Transformer-Object-Detection; the paper's of ViTDet, as recalled.
PUBLISHED = {
    ('mask-rcnn-swin-1x', 'tiny'): 48, ('mask-rcnn-swin-3x', 'tiny'): 48,
    ('mask-rcnn-swin-3x', 'small'): 69, ('cascade-mask-rcnn-swin-1x', 'tiny'): 86,
    ('cascade-mask-rcnn-swin-3x', 'tiny'): 86, ('cascade-mask-rcnn-swin-3x', 'small'): 107,
    ('cascade-mask-rcnn-swin-3x', 'base'): 145, ('mask-rcnn-vitdet-b', 'base'): 111,
    ('mask-rcnn-vitdet-l', 'large'): 331, ('cascade-mask-rcnn-vitdet-b', 'base'): 141,
}  # fmt: skip


def block(dim: int) -> int:
    """Two norms, qkv and projection, an MLP of ratio 4, all with biases."""
    return 2 * 2 * dim + 4 * (dim * dim + dim) + 8 * dim * dim + 5 * dim


def plain_vit(arch: str, positions: int, cls: bool) -> int:
    dim, depth = VIT[arch]['embed_dim'], VIT[arch]['depth']
    return depth * block(dim) + 3 * 16 * 16 * dim + dim + (positions + 2 * cls) * dim


def decomposed(arch: str, window: int, grid: int) -> int:
    """Tables of both axes, a row of one head's width: 4 global blocks, the others windowed."""
    size = VIT[arch]
    rows = 4 * (2 * grid - 1) + (size['depth'] - 4) * (2 * window - 1)
    return 2 * rows * size['embed_dim'] // size['num_heads']


def conv(before: int, after: int, side: int = 1, bias: bool = True) -> int:
    return before * after * side**2 + after * bias


def simple_pyramid(dim: int) -> int:
    out = [conv(c, 256, bias=False) + conv(256, 256, 3, bias=False) + 4 * 256
           for c in (dim // 4, dim // 2, dim, dim)]  # fmt: skip
    up = conv(dim, dim // 2, 2) + 2 * (dim // 2) + conv(dim // 2, dim // 4, 2)
    return sum(out) + up + conv(dim, dim // 2, 2)


def block_pyramid(dim: int) -> int:
    return 3 * conv(dim, dim, 2) + 2 * dim


def fpn(channels: list[int], norm: bool = False) -> int:
    bias = not norm
    lateral = sum(conv(c, 256, bias=bias) for c in channels)
    return lateral + 4 * conv(256, 256, 3, bias=bias) + norm * 8 * 2 * 256


def heads(convs: int, box: str, mask_norm: bool, stages: int = 1, masks: int = 1,
          regressed: int = 80) -> int:  # fmt: skip
    rpn = convs * conv(256, 256, 3) + conv(256, 3) + conv(256, 12)
    if box == '4conv1fc':
        layers = 4 * (conv(256, 256, 3, bias=False) + 2 * 256) + 256 * 49 * 1024 + 1024
    else:
        layers = 256 * 49 * 1024 + 1024 + 1024 * 1024 + 1024
    box_head = layers + 1024 * 81 + 81 + 1024 * 4 * regressed + 4 * regressed
    mask_conv = conv(256, 256, 3, bias=not mask_norm) + mask_norm * 2 * 256
    mask_head = 4 * mask_conv + conv(256, 256, 2) + conv(256, 80)
    return rpn + stages * box_head + masks * mask_head


def counted(name: str, arch: str) -> int:
    """By hand; the stages of Swin and Hiera by timm."""
    family = ALL[name].protocol.family
    cascade = name.startswith('cascade')
    if family != 'vit':
        import timm

        title = {'base-plus': 'base_plus'}.get(arch, arch)
        with torch.device('meta'):
            if family == 'swin':
                net = timm.create_model(f'swin_{title}_patch4_window7_224', num_classes=0)
                dims = [net.embed_dim * 2**i for i in range(4)]
                # A norm of each stage's map, in place of the last one's.
                extra = sum(2 * d for d in dims) - 2 * dims[-1]
                size = sum(p.numel() for p in net.parameters()) + extra
            else:
                net = timm.create_model(f'hiera_{title}_224', num_classes=0)
                dims = [HIERA[arch]['embed_dim'] * 2**i for i in range(4)]
                size = sum(p.numel() for p in net.blocks.parameters())
                size += sum(p.numel() for p in net.patch_embed.parameters())
                # Positions of 1/4 of 800 x 1344 px, in place of those of 224 px.
                size += (800 // 4) * (1344 // 4) * dims[0]
        stages = 3 if cascade else 1
        box = '4conv1fc' if cascade else '2fc'
        return size + fpn(dims) + heads(1, box, False, stages, stages)
    dim = VIT[arch]['embed_dim']
    if 'vitdet' in name:
        grid = 40 if name.endswith('640') else 64
        vit = plain_vit(arch, 14 * 14, cls=False) + decomposed(arch, 14, grid)
        regressed = 1 if cascade else 80
        stages = 3 if cascade else 1
        return vit + simple_pyramid(dim) + heads(2, '4conv1fc', True, stages, 1, regressed)
    if name.endswith('e'):
        vit = plain_vit(arch, 64 * 64, cls=False) + decomposed(arch, 16, 64)
        return vit + block_pyramid(dim) + fpn([dim] * 4, norm=True) + heads(2, '4conv1fc', True)
    vit = plain_vit(arch, 42 * 68, cls=True)
    if 'cae' in name:  # no key bias; layer scale; positions are a parameter too
        vit += VIT[arch]['depth'] * (2 * dim - dim)
    stages = 3 if cascade else 1
    return vit + block_pyramid(dim) + fpn([dim] * 4) + heads(1, '4conv1fc', False, stages, stages)


def whole(name: str, arch: str) -> torch.nn.Module:
    init_default_scope('mmdet')
    with torch.device('meta'):
        return MODELS.build(copy.deepcopy(config(name, arch).model))


@pytest.mark.parametrize(('name', 'arch'), SIZED)
def test_it_builds_whole_with_the_published_parameters(name: str, arch: str) -> None:
    found = sum(p.numel() for p in whole(name, arch).parameters())
    assert found == counted(name, arch)
    if (name, arch) in PUBLISHED:
        assert round(found / 1e6) == PUBLISHED[name, arch]
    if name.endswith('e'):  # README of hustvl/MIMDet, with its two tables in place of decomposed
        tables = 12 * ((2 * 16 - 1) ** 2 + (2 * 64 - 1) ** 2)
        assert round((found - decomposed('base', 16, 64) + tables) / 1e4) == 11867


# ------------------------------------------------------------------ at work

TINY = {
    'vit': {'type': 'mim_backbones.MIMViT', 'img_size': 64, 'patch_size': 16,
            'arch': {'embed_dim': 32, 'depth': 12, 'num_heads': 2}},
    'swin': {'type': 'mim_backbones.MIMSwin', 'img_size': 64, 'window_size': 4,
             'arch': {'embed_dim': 16, 'depths': (1, 1, 1, 1), 'num_heads': (1, 1, 2, 2)}},
    'hiera': {'type': 'mim_backbones.MIMHiera', 'img_size': 64,
              'arch': {'embed_dim': 16, 'depths': (1, 1, 1, 1), 'num_heads': 1}},
}  # fmt: skip
SMALLER = {'num': 16, 'nms_pre': 40, 'max_per_img': 16, 'fc_out_channels': 32,
           'pad_size_divisor': 64, 'num_workers': 0}  # fmt: skip
SIDES = {'size': (64, 64), 'scale': (64, 64), 'crop_size': (32, 48)}


def shrunk(node: Any) -> Any:
    """Fewer regions and smaller pictures; all else as it is."""
    if isinstance(node, dict):
        sized = {**SMALLER, **SIDES}
        small = {key: sized.get(key, shrunk(value)) for key, value in node.items()}
        if 'scales' in node and 'keep_ratio' in node:
            small['scales'] = [(48, 64), (56, 64)]
        return small
    return [shrunk(each) for each in node] if isinstance(node, list | tuple) else node


def tiny(name: str, world: Path) -> Config:
    """A recipe on a tiny backbone of its family, for the tiny world and two classes of it."""
    cfg = Config(copy.deepcopy(config(name).to_dict()))
    cfg.model.backbone |= dict(img_size=64, drop_path_rate=0.1)
    recorded = dict(TINY[ALL[name].protocol.family])
    job = type('Job', (), {'backbone': recorded, 'checkpoint': None})
    fit_neck(cfg.model.neck, fit_backbone(cfg, job))
    classes = TASK.describe(load_data_spec(world)['detection']).classes[:2]
    fit_data(cfg, load_data_spec(world)['detection'], classes)
    model = cfg.model.to_dict()
    backbone, neck = model.pop('backbone'), model.pop('neck')
    small = shrunk({key: cfg[key] for key in ('train_dataloader', 'test_dataloader')})
    return Config(
        {**small, 'model': {**shrunk(model), 'backbone': backbone, 'neck': neck},
         'optim_wrapper': cfg.optim_wrapper.to_dict()}
    )  # fmt: skip


def two_steps(cfg: Config) -> list[float]:
    """Losses of two training steps; a picture is scored after them."""
    init_default_scope('mmdet')
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    model.init_weights()
    wrapper = cfg.optim_wrapper
    kind = OPTIM_WRAPPER_CONSTRUCTORS.get(wrapper.pop('constructor'))
    wrapper = kind(wrapper, wrapper.pop('paramwise_cfg', None))(model)
    dataset, losses = DATASETS.build(cfg.train_dataloader.dataset), []
    for start in (0, 2):
        batch = pseudo_collate([dataset[start], dataset[start + 1]])
        losses.append(float(model.train().train_step(batch, wrapper)['loss'].detach()))
    scored = DATASETS.build(cfg.test_dataloader.dataset)
    with torch.no_grad():
        (found,) = model.eval().test_step(pseudo_collate([scored[0]]))
    assert len(found.pred_instances.masks) == len(found.pred_instances.bboxes)
    return losses


# Recipes that differ in size are one when they are tiny.
WORKED: dict[str, list[float]] = {}


@pytest.mark.parametrize('name', sorted(ALL))
def test_it_takes_two_steps_and_predicts(name: str, world: Path) -> None:
    if ALL[name].protocol.tier == 'proxy':
        pytest.skip('frozen features: tests of their own')
    cfg = tiny(name, world)
    key = json.dumps(cfg.to_dict(), sort_keys=True)
    if key not in WORKED:
        WORKED[key] = two_steps(cfg)
    assert all(0 < loss < 1e3 for loss in WORKED[key])


def test_a_checkpoint_of_another_size_is_told_what_it_fits() -> None:
    from mim_backbones.errors import UserError

    with pytest.raises(UserError, match=r'takes vit base .* vit large; .* mask-rcnn-vitdet-l'):
        find_protocol('detection', 'full', 'vit', 'mask-rcnn-vitdet-b', arch='large')
