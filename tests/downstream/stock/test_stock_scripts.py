"""mmdet's and mmseg's own train.py with our backbones: the config imports them by name."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

VIT = "type='mim_backbones.MIMViT', arch=dict(embed_dim=32, depth=2, num_heads=2)"
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
def test_it_trains_and_validates(world: Path, tmp_path: Path, package, text, score) -> None:
    spec = importlib.util.find_spec(package)
    mim = Path(spec.submodule_search_locations[0], '.mim')
    (tmp_path / 'child.py').write_text(text.format(mim=mim, world=world))
    command = [sys.executable, str(mim / 'tools' / 'train.py'), str(tmp_path / 'child.py')]
    done = subprocess.run(
        [*command, '--work-dir', str(tmp_path / 'work')],
        cwd=tmp_path, env={**os.environ, 'OMP_NUM_THREADS': '1'}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-3000:]
    assert score in said
