"""The two-line swap of the README, on the config files that mmdet and mmseg ship."""

import importlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from mmengine.structures import InstanceData, PixelData

MASK_RCNN = """
_base_ = '{stock}'
model = dict(
    backbone=dict(
        _delete_=True, type='mim_backbones.MIMViT', arch={arch}, img_size=128, cls_token=False,
        window_size=4, global_blocks=(0, 1), init_cfg=dict(type='Pretrained', checkpoint='{file}')),
    neck=dict(
        _delete_=True, type='mim_backbones.SimpleFeaturePyramid', in_channels=32, extra_levels=1))
"""
UPERNET = """
_base_ = '{stock}'
model = dict(
    pretrained=None,
    backbone=dict(
        _delete_=True, type='mim_backbones.MIMViT', arch={arch}, img_size=128,
        out_indices=(0, 0, 1, 1), init_cfg=dict(type='Pretrained', checkpoint='{file}')),
    neck=dict(type='mim_backbones.BlockPyramid', in_channels=32),
    decode_head=dict(in_channels=[32] * 4), auxiliary_head=dict(in_channels=32))
"""
SWIN = """
_base_ = '{stock}'
model = dict(
    backbone=dict(
        _delete_=True, type='mim_backbones.MIMSwin', arch={arch}, out_indices=(0, 1, 2, 3),
        init_cfg=dict(type='Pretrained', checkpoint='{file}')))
"""
HIERA = """
_base_ = '{stock}'
model = dict(
    backbone=dict(
        _delete_=True, type='mim_backbones.MIMHiera', arch={arch}, img_size=128,
        init_cfg=dict(type='Pretrained', checkpoint='{file}')))
"""


class Family(NamedTuple):
    """A backbone: how pre-training builds it, the configs that take it, a weight to look for."""

    pretrained: dict
    mask_rcnn: tuple[str, str]  # stock config, text of the child config
    upernet: tuple[str, str]
    weight: str


# The stock Swin configs expect the widths of Swin-T, which Hiera-T to Hiera-B have too, so only
# the depth is cut here.
FAMILIES = {
    'vit': Family(
        {'type': 'mim_backbones.MIMViT', 'img_size': 128,
         'arch': {'embed_dim': 32, 'depth': 2, 'num_heads': 2}},
        ('mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py', MASK_RCNN),
        ('upernet/upernet_r50_4xb4-160k_ade20k-512x512.py', UPERNET),
        'blocks.1.mlp.fc2.weight',
    ),
    'swin': Family(
        {'type': 'mim_backbones.MIMSwin', 'img_size': 192, 'window_size': 6, 'mask_token': True,
         'arch': {'embed_dim': 96, 'depths': (1, 2, 1, 1), 'num_heads': (3, 6, 12, 24)}},
        ('swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py', SWIN),
        ('swin/swin-tiny-patch4-window7-in1k-pre_upernet_8xb2-160k_ade20k-512x512.py', SWIN),
        'layers.1.blocks.1.mlp.fc2.weight',
    ),
    'hiera': Family(
        {'type': 'mim_backbones.MIMHiera', 'img_size': 128, 'q_pool': 2,
         'arch': {'embed_dim': 96, 'depths': (1, 1, 1, 1), 'num_heads': 1}},
        ('swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py', HIERA),
        ('swin/swin-tiny-patch4-window7-in1k-pre_upernet_8xb2-160k_ade20k-512x512.py', HIERA),
        'blocks.3.mlp.fc2.weight',
    ),
}  # fmt: skip


@pytest.fixture
def in_scope() -> Iterator[Callable[[str], object]]:
    """in_scope('mmdet'): unprefixed types are mmdet's until the test ends, not beyond."""
    with ExitStack() as stack:
        yield lambda scope: stack.enter_context(DefaultScope.overwrite_default_scope(scope))


def swapped(tmp_path: Path, package: str, stock: str, text: str, pretrained: dict) -> Config:
    module = importlib.import_module(package)
    path = Path(module.__file__).parent / '.mim' / 'configs' / stock
    file = tmp_path / 'pretrained.pth'
    torch.save(MODELS.build(pretrained).state_dict(), file)
    child = tmp_path / 'swapped.py'
    child.write_text(text.format(stock=path, arch=pretrained['arch'], file=file))
    return Config.fromfile(child)


def is_loaded(model: torch.nn.Module, tmp_path: Path, weight: str) -> bool:
    state = torch.load(tmp_path / 'pretrained.pth', weights_only=True)
    return torch.equal(model.backbone.state_dict()[weight], state[weight])


@pytest.mark.parametrize('family', FAMILIES.values(), ids=FAMILIES)
def test_stock_mask_rcnn_takes_the_backbone(tmp_path: Path, family: Family, in_scope) -> None:
    from mmdet.structures import DetDataSample
    from mmdet.structures.mask import BitmapMasks

    cfg = swapped(tmp_path, 'mmdet', *family.mask_rcnn, family.pretrained)
    in_scope('mmdet')
    model = MODELS.build(cfg.model)
    model.init_weights()
    assert is_loaded(model, tmp_path, family.weight)

    mask = np.zeros((1, 128, 128), np.uint8)
    mask[:, 20:90, 30:100] = 1
    sample = DetDataSample(
        metainfo={'img_shape': (128, 128), 'ori_shape': (128, 128), 'scale_factor': (1.0, 1.0)},
        gt_instances=InstanceData(
            bboxes=torch.tensor([[30.0, 20, 100, 90]]),
            labels=torch.tensor([3]),
            masks=BitmapMasks(mask, 128, 128),
        ),
        ignored_instances=InstanceData(bboxes=torch.zeros(0, 4), labels=torch.zeros(0).long()),
    )
    data = {'inputs': [torch.randint(0, 256, (3, 128, 128))], 'data_samples': [sample]}
    losses = model(**model.data_preprocessor(data, training=True), mode='loss')
    total, _ = model.parse_losses(losses)
    total.backward()
    assert torch.isfinite(total)
    assert float(model.backbone.patch_embed.proj.weight.grad.abs().sum()) > 0

    model.eval()
    with torch.no_grad():
        (found,) = model.test_step(data)
    assert found.pred_instances.masks.shape[1:] == (128, 128)


@pytest.mark.parametrize('family', FAMILIES.values(), ids=FAMILIES)
def test_stock_upernet_takes_the_backbone(tmp_path: Path, family: Family, in_scope) -> None:
    from mmengine.model import revert_sync_batchnorm
    from mmseg.structures import SegDataSample

    cfg = swapped(tmp_path, 'mmseg', *family.upernet, family.pretrained)
    cfg.model.data_preprocessor.size = (128, 128)
    in_scope('mmseg')
    model = revert_sync_batchnorm(MODELS.build(cfg.model))  # SyncBN needs a GPU
    model.init_weights()
    assert is_loaded(model, tmp_path, family.weight)

    sample = SegDataSample(
        metainfo={'img_shape': (128, 128), 'ori_shape': (128, 128)},
        gt_sem_seg=PixelData(data=torch.randint(0, 150, (1, 128, 128))),
    )
    data = {'inputs': [torch.randint(0, 256, (3, 128, 128))] * 2, 'data_samples': [sample] * 2}
    losses = model(**model.data_preprocessor(data, training=True), mode='loss')
    total, _ = model.parse_losses(losses)
    total.backward()
    assert torch.isfinite(total)
    assert float(model.backbone.patch_embed.proj.weight.grad.abs().sum()) > 0

    model.eval()
    with torch.no_grad():
        found = model.test_step({key: value[:1] for key, value in data.items()})
    assert found[0].pred_sem_seg.data.shape == (1, 128, 128)
