"""Every segmentation recipe: builds at its real size, says what it repeats, trains and predicts."""

import ast
import csv
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from downstream.evaluation.protocols import recipes
from downstream.stock.meta import build_empty
from mim_backbones.training.config import read_config
from mim_backbones.training.layer_decay import parameter_groups

ALL = {one.path.stem: one for one in recipes().values() if one.protocol.task == 'segmentation'}
FULL = {name: one for name, one in ALL.items() if one.protocol.tier == 'full'}
ENDED = '_160k_ade20k-512'
STOCK = Path(__import__('mmseg').__file__).parent / '.mim' / 'configs'


def build(cfg: Config) -> torch.nn.Module:
    init_default_scope('mmseg')
    with torch.device('meta'):
        return MODELS.build(cfg.model)


def size(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize('name', FULL)
def test_name_and_docstring(name: str) -> None:
    assert re.fullmatch(r'[a-z-]+_[a-z0-9-]+_[a-z0-9-]+-pre_160k_ade20k-(512|640)', name)
    said = ast.get_docstring(ast.parse(FULL[name].path.read_text()))
    assert 'reproduced here: not yet' in said
    assert 'reported mIoU: ' in said
    assert re.search(r'batch 16|160k iterations of 16 images', said)
    assert f'tools/dist_train.sh configs/downstream/segmentation/{name}.py' in said
    cfg = read_config(FULL[name].path)
    assert cfg.train_dataloader.batch_size * 8 == 16 == cfg.auto_scale_lr.base_batch_size


def test_full_recipes_belong_to_one_size_each() -> None:
    for recipe in FULL.values():
        protocol = recipe.protocol
        assert protocol.arch == read_config(recipe.path).model.backbone.arch
    sizes = {(one.protocol.family, one.protocol.arch) for one in FULL.values()}
    vit = {('vit', a) for a in ('tiny', 'tiny-h12', 'small', 'small-h12', 'base', 'large', 'huge')}
    swin = {('swin', a) for a in ('tiny', 'small', 'base', 'large')}
    hiera = {('hiera', a) for a in ('tiny', 'small', 'base', 'base-plus', 'large', 'huge')}
    assert sizes == vit | swin | hiera


def test_frameworks_are_those_of_published_rows(shared) -> None:
    with (shared / 'reference' / 'published_results.csv').open() as file:
        known = {row['framework'] for row in csv.DictReader(file) if row['metric'] == 'mIoU'}
    named = {one.protocol.framework for one in FULL.values()} - {''}
    assert named == {f'UperNet 160k {px}x{px} single-scale' for px in (512, 640)}
    assert named <= known


# Base rate, layer decay, drop path, returned blocks or stages, channels of the decoder.
B, L = (3, 5, 7, 11), (7, 11, 15, 23)
STAGES = (0, 1, 2, 3)
FACTS = {
    # mmsegmentation 1.2.2 configs/mae; its sizes below base and huge: inferred
    'upernet_vit-b_mae-pre': (1e-4, 0.65, 0.1, B, 768),
    'upernet_vit-ti_mae-pre': (1e-4, 0.65, 0.1, B, 192),
    'upernet_vit-ti-h12_mae-pre': (1e-4, 0.65, 0.1, B, 192),
    'upernet_vit-s_mae-pre': (1e-4, 0.65, 0.1, B, 384),
    'upernet_vit-s-h12_mae-pre': (1e-4, 0.65, 0.1, B, 384),
    # lxtGH/CAE configs_local/mae/upernet_mae_large_12_512_slide_160k_ade20k_pt_4e-4
    'upernet_vit-l_mae-pre': (4e-4, 0.65, 0.2, L, 1024),
    'upernet_vit-h_mae-pre': (4e-4, 0.65, 0.3, (7, 15, 23, 31), 1280),
    # microsoft/unilm beit/semantic_segmentation
    'upernet_vit-b_beit-pre': (7e-4, 0.65, 0.1, B, 768),
    'upernet_vit-b_beit-pre_160k_ade20k-640': (3e-5, 0.9, 0.1, B, 768),
    'upernet_vit-l_beit-pre_160k_ade20k-640': (2e-5, 0.95, 0.2, L, 1024),
    # microsoft/unilm beit2/semantic_segmentation
    'upernet_vit-b_beitv2-pre': (5e-5, 0.75, 0.15, B, 768),
    'upernet_vit-l_beitv2-pre': (4e-5, 0.9, 0.2, L, 1024),
    # bytedance/ibot evaluation/semantic_segmentation; the rate of size base: evaluation/README.md
    'upernet_vit-s_ibot-pre': (3e-5, 0.9, 0.1, B, 384),
    'upernet_vit-b_ibot-pre': (8e-5, 0.65, 0.1, B, 768),
    'upernet_vit-l_ibot-pre': (2e-5, 0.95, 0.2, L, 1024),
    # lxtGH/CAE configs_local/cae
    'upernet_vit-b_cae-pre': (1e-4, 0.65, 0.1, B, 768),
    'upernet_vit-l_cae-pre': (4e-5, 0.95, 0.15, L, 1024),
    # SwinTransformer/Swin-Transformer-Semantic-Segmentation; large: mmsegmentation configs/swin
    **{f'upernet_swin-{s}_sup-pre': (6e-5, None, 0.3, STAGES, 512) for s in 'tsbl'},
    # inferred
    **{
        f'upernet_hiera-{s}_mae-pre': (1e-4, 0.65, rate, STAGES, 512)
        for s, rate in dict(t=0.1, s=0.1, b=0.1, bplus=0.1, l=0.2, h=0.3).items()
    },
    # wangsr126/MAE-Lite projects/eval_tools/seg
    'semantic-fpn_vit-ti-h12_mae-lite-pre': (1e-4, 0.8, 0.1, B, 128),
}
FACTS = {name if 'ade20k' in name else name + ENDED: row for name, row in FACTS.items()}


def test_facts_are_of_every_recipe() -> None:
    assert set(FACTS) == set(FULL)


@pytest.mark.parametrize('name', FULL)
def test_numbers_are_the_releases(name: str) -> None:
    cfg = read_config(FULL[name].path)
    rate, decay, drop_path, blocks, channels = FACTS[name]
    model, px = cfg.model, int(name[-3:])
    assert cfg.optim_wrapper.optimizer.lr == rate
    assert cfg.optim_wrapper.paramwise_cfg.get('layer_decay') == decay
    assert cfg.optim_wrapper.optimizer.weight_decay == (0.01 if 'swin' in name else 0.05)
    assert model.backbone.drop_path_rate == drop_path
    assert tuple(model.backbone.out_indices) == blocks
    assert model.decode_head.channels == channels
    assert model.backbone.img_size == px
    assert tuple(model.data_preprocessor.size) == (px, px)
    assert cfg.train_cfg.max_iters == 160000
    (crop,) = (step for step in cfg.train_dataloader.dataset.pipeline if 'crop_size' in step)
    assert tuple(crop.crop_size) == (px, px)
    (scale,) = {tuple(s.scale) for loader in ('val', 'test') for s in
                cfg[f'{loader}_dataloader'].dataset.pipeline if 'scale' in s}  # fmt: skip
    assert scale == (4 * px, px)
    if 'swin' in name:
        assert model.test_cfg.mode == 'whole'
    else:
        stride = {512: 341, 640: 426}[px]
        assert model.test_cfg == dict(mode='slide', crop_size=(px, px), stride=(stride, stride))


def uper_head(widths: list[int], channels: int) -> int:
    """By hand: convolutions without bias, two numbers a channel for each batch norm."""
    c, classes = channels, 150
    pooled = 4 * (widths[3] * c + 2 * c) + (widths[3] + 4 * c) * c * 9 + 2 * c
    lateral = sum(width * c + 2 * c for width in widths[:3]) + 3 * (9 * c * c + 2 * c)
    decoder = pooled + lateral + 4 * c * c * 9 + 2 * c + c * classes + classes
    return decoder + widths[2] * 256 * 9 + 2 * 256 + 256 * classes + classes


@pytest.mark.parametrize('name', [name for name in FULL if name.startswith('upernet')])
def test_heads_have_the_size_counted_by_hand(name: str) -> None:
    model = build(read_config(FULL[name].path))
    widths = list(model.backbone.num_features)
    heads = size(model.decode_head) + size(model.auxiliary_head)
    assert heads == uper_head(widths, model.decode_head.channels)
    if model.with_neck:
        assert size(model.neck) == 3 * (4 * widths[0] ** 2 + widths[0]) + 2 * widths[0]


# Millions, heads included: README of SwinTransformer/Swin-Transformer-Semantic-Segmentation, Swin's
# paper (large), BEiT v2's README (its larger number is BEiT's at 640 px).
@pytest.mark.parametrize(('name', 'millions'), [
    ('upernet_swin-t_sup-pre', 60), ('upernet_swin-s_sup-pre', 81), ('upernet_swin-b_sup-pre', 121),
    ('upernet_swin-l_sup-pre', 234), ('upernet_vit-b_beitv2-pre', 163),
    ('upernet_vit-l_beit-pre_160k_ade20k-640', 441)])  # fmt: skip
def test_sizes_as_published(name: str, millions: int) -> None:
    name = name if 'ade20k' in name else name + ENDED
    assert round(size(build(read_config(FULL[name].path))) / 1e6) == millions


# Hiera's README: millions with a classifier of 1000, at 224 px.
@pytest.mark.parametrize(('letter', 'millions'), [
    ('t', 27.91), ('s', 35.01), ('b', 51.52), ('bplus', 69.90), ('l', 213.74), ('h', 672.78)
])  # fmt: skip
def test_hiera_backbones_as_published(letter: str, millions: float) -> None:
    backbone = build(read_config(FULL[f'upernet_hiera-{letter}_mae-pre{ENDED}'].path)).backbone
    last, first = backbone.num_features[3], backbone.num_features[0]
    classifier, places = last * 1000 + 1000, (128**2 - 56**2) * first
    assert (size(backbone) + classifier - places) / 1e6 == pytest.approx(millions, abs=0.02)


@pytest.mark.parametrize(('name', 'stock'), [
    ('upernet_vit-b_mae-pre', 'mae/mae-base_upernet_8xb2-amp-160k_ade20k-512x512'),
    ('upernet_vit-b_beit-pre_160k_ade20k-640', 'beit/beit-base_upernet_8xb2-160k_ade20k-640x640'),
    ('upernet_vit-l_beit-pre_160k_ade20k-640',
     'beit/beit-large_upernet_8xb1-amp-160k_ade20k-640x640'),
    ('upernet_swin-t_sup-pre',
     'swin/swin-tiny-patch4-window7-in1k-pre_upernet_8xb2-160k_ade20k-512x512'),
    ('upernet_swin-l_sup-pre',
     'swin/swin-large-patch4-window7-in22k-pre_upernet_8xb2-160k_ade20k-512x512'),
])  # fmt: skip
def test_as_many_parameters_as_mmsegmentation_has(name: str, stock: str) -> None:
    name = name if 'ade20k' in name else name + ENDED
    theirs = Config.fromfile(STOCK / f'{stock}.py')
    theirs.default_scope = 'mmseg'
    assert size(build(read_config(FULL[name].path))) == size(build_empty(theirs, theirs.model))


@pytest.mark.parametrize('letter', 'tsbl')
def test_swin_decays_what_its_release_decays(letter: str) -> None:
    """Everything but tables and norms: biases and the heads' batch norms (called bn) are."""
    from mmengine.optim import DefaultOptimWrapperConstructor

    cfg = read_config(FULL[f'upernet_swin-{letter}_sup-pre{ENDED}'].path)
    model = build(cfg)
    wrapper = dict(type='OptimWrapper', optimizer=dict(cfg.optim_wrapper.optimizer))
    paramwise = cfg.optim_wrapper.paramwise_cfg
    assert cfg.optim_wrapper.constructor == 'DefaultOptimWrapperConstructor'
    groups = DefaultOptimWrapperConstructor(wrapper, paramwise)(model).optimizer.param_groups
    decayed = {id(p) for group in groups if group['weight_decay'] for p in group['params']}
    for name, parameter in model.named_parameters():
        exempt = 'norm' in name or 'relative_position_bias_table' in name
        assert (id(parameter) in decayed) != exempt, name


@pytest.mark.parametrize('name', [n for n in FULL if 'vit' in n and 'beitv2' not in n])
def test_rates_and_decay_of_vits(name: str) -> None:
    """Release: names are compared without prefix, so that CLS token and positions decay."""
    cfg = read_config(FULL[name].path)
    optimizer, paramwise = cfg.optim_wrapper.optimizer, cfg.optim_wrapper.paramwise_cfg
    model = build(cfg)
    groups = parameter_groups(model, optimizer.lr, optimizer.weight_decay, **paramwise)
    rates = {name: group['lr'] for group in groups for name in group['names']}
    depth = len(model.backbone.blocks)
    lowest = optimizer.lr * paramwise.layer_decay ** (depth + 1)
    assert rates['backbone.patch_embed.proj.weight'] == pytest.approx(lowest)
    assert rates['neck.fpn1.0.weight'] == rates['decode_head.conv_seg.weight'] == optimizer.lr
    decayed = {name for group in groups if group['weight_decay'] for name in group['names']}
    trained = {n for n, p in model.named_parameters() if p.requires_grad}
    tables = {n for n in trained if 'bias_table' in n or 'pos_embed' in n}
    assert tables | {'backbone.cls_token'} <= decayed


def tiny(cfg: Config) -> ConfigDict:
    """The recipe's model in a size that trains in a second; depths, blocks and options stay."""
    model = cfg.model
    backbone = model.backbone
    if 'MIMViT' in backbone.type:
        depth = max(backbone.out_indices) + 1
        backbone.arch = dict(embed_dim=24, depth=depth, num_heads=3)
        widths = [24] * 4
    elif 'MIMSwin' in backbone.type:
        backbone.arch = dict(embed_dim=12, depths=(1, 1, 2, 1), num_heads=(1, 2, 4, 8))
        widths = [12, 24, 48, 96]
    else:
        backbone.arch = dict(embed_dim=12, depths=(1, 1, 2, 1), num_heads=1)
        widths = [12, 24, 48, 96]
    backbone.img_size, backbone.init_cfg = 64, None
    model.data_preprocessor.size = (64, 64)
    if model.get('neck'):
        model.neck.in_channels = 24
        if 'out_channels' in model.neck:
            model.neck.out_channels, widths = 6, [6] * 4
    model.decode_head.update(in_channels=widths, channels=16)
    if 'auxiliary_head' in model:
        model.auxiliary_head.update(in_channels=widths[2], channels=16)
    if model.test_cfg.mode == 'slide':
        model.test_cfg.update(crop_size=(64, 64), stride=(43, 43))
    return model


def picture(height: int, width: int, numbers: np.random.Generator) -> dict:
    image = numbers.integers(0, 256, (3, height, width), dtype=np.uint8)
    sample = SegDataSample(metainfo=dict(
        ori_shape=(height + 9, width - 7), img_shape=(height, width), img_path='x'))  # fmt: skip
    label = torch.from_numpy(numbers.integers(0, 150, (1, height, width)))
    sample.set_data({'gt_sem_seg': __import__('mmengine').structures.PixelData(data=label)})
    return {'inputs': torch.from_numpy(image), 'data_samples': sample}


@pytest.mark.parametrize('name', FULL)
def test_two_steps_and_a_prediction(name: str) -> None:
    from mmengine.dataset import pseudo_collate
    from mmengine.optim import build_optim_wrapper

    cfg = read_config(FULL[name].path)
    init_default_scope('mmseg')
    torch.manual_seed(0)
    model = MODELS.build(tiny(cfg))
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    numbers = np.random.default_rng(0)
    batch = pseudo_collate([picture(64, 64, numbers) for _ in range(2)])
    before = {key: value.clone() for key, value in model.state_dict().items()}
    model.train()
    for _ in range(2):
        losses = model.train_step(batch, wrapper)
        assert torch.isfinite(losses['loss'])
    moved = {k for k, value in model.state_dict().items() if not torch.equal(value, before[k])}
    assert {'backbone.patch_embed.proj.weight', 'decode_head.conv_seg.weight'} <= moved
    model.eval()
    shapes = [(64, 90), (50, 120)]
    tests = pseudo_collate([picture(*shape, numbers) for shape in shapes])
    with torch.no_grad():
        found = model.test_step(tests)
    for one, (height, width) in zip(found, shapes, strict=True):
        assert one.pred_sem_seg.data.shape == (1, height + 9, width - 7)
