"""mmdet's and mmseg's own train.py and test.py with our backbones and a checkpoint made here."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ARCH = {'embed_dim': 32, 'depth': 2, 'num_heads': 2}
VIT = (
    "type='mim_backbones.MIMViT', arch=dict(embed_dim=32, depth=2, num_heads=2), "
    "init_cfg=dict(type='Pretrained', checkpoint='{weights}')"
)
OPTIMIZER = """
custom_imports = dict(imports=['mim_backbones'])
optim_wrapper = dict(
    _delete_=True, type='OptimWrapper', constructor='mim_backbones.LayerDecayConstructor',
    optimizer=dict(type='AdamW', lr=1e-4, weight_decay=0.05), paramwise_cfg=dict(layer_decay=0.75))
few = dict(num_workers=0, persistent_workers=False)
"""
DETECTOR = f"""
_base_ = '{{mim}}/configs/mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py'
{OPTIMIZER}
data_root = '{{world}}/coco/'
classes = ('striped_star', 'marbled_star')
few['dataset'] = dict(data_root=data_root, metainfo=dict(classes=classes), indices=2)
model = dict(
    backbone=dict(
        _delete_=True, {VIT}, img_size=128, cls_token=False, window_size=4, global_blocks=(0, 1)),
    neck=dict(
        _delete_=True, type='mim_backbones.SimpleFeaturePyramid', in_channels=32, extra_levels=1))
train_dataloader = dict(**few, batch_size=2)
val_dataloader = test_dataloader = few
val_evaluator = test_evaluator = dict(ann_file=data_root + 'annotations/instances_val2017.json')
train_cfg = dict(max_epochs=1)
"""
SEGMENTER = f"""
_base_ = '{{mim}}/configs/upernet/upernet_r50_4xb4-160k_ade20k-512x512.py'
{OPTIMIZER}
few['dataset'] = dict(data_root='{{world}}/ade/ADEChallengeData2016/', indices=2)
model = dict(
    pretrained=None, backbone=dict(_delete_=True, {VIT}, img_size=512, out_indices=(0, 0, 1, 1)),
    neck=dict(type='mim_backbones.BlockPyramid', in_channels=32),
    decode_head=dict(in_channels=[32] * 4), auxiliary_head=dict(in_channels=32))
train_dataloader = dict(**few, batch_size=2)
val_dataloader = test_dataloader = few
train_cfg = dict(max_iters=1, val_interval=1)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ('package', 'text', 'score'),
    [('mmdet', DETECTOR, 'Epoch(val) [1]'), ('mmseg', SEGMENTER, 'mIoU: ')],
)
def test_it_trains_validates_and_tests(world: Path, tmp_path: Path, package, text, score) -> None:
    spec = importlib.util.find_spec(package)
    mim = Path(spec.submodule_search_locations[0], '.mim')
    weights, config = pretrained(tmp_path), tmp_path / 'child.py'
    config.write_text(text.format(mim=mim, world=world, weights=weights))
    work = ['--work-dir', str(tmp_path / 'work')]
    said = stock_tool(mim, 'train.py', tmp_path, str(config), *work)
    assert score in said
    assert 'blocks.1.mlp.fc2.weight' in said or 'loaded' in said  # the report of the load
    (trained,) = (tmp_path / 'work').glob('*_1.pth')
    assert score.replace('val', 'test').replace('[1]', '') in stock_tool(
        mim, 'test.py', tmp_path, str(config), str(trained), *work
    )


def pretrained(folder: Path) -> Path:
    """A checkpoint as pre-training here leaves it."""
    import torch

    from mim_backbones.registry import MODELS

    backbone = {'type': 'mim_backbones.MIMViT', 'arch': ARCH, 'img_size': 64, 'mask_token': True}
    state = MODELS.build(dict(backbone)).state_dict()
    content = {f'backbone.{key}': value for key, value in state.items()}
    record = {'method': 'SimMIM', 'backbone': backbone}
    torch.save({'state_dict': content, 'meta': {'mimbench': record}}, folder / 'epoch_1.pth')
    return folder / 'epoch_1.pth'


def stock_tool(mim: Path, name: str, folder: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, str(mim / 'tools' / name), *words],
        cwd=folder, env={**os.environ, 'OMP_NUM_THREADS': '1'}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-3000:]
    return said
