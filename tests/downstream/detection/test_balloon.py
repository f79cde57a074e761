"""Real photos: Mask R-CNN on a small Swin without pre-training learns balloon_small by heart.

Scored on the pictures it trained on, which are never flipped. Masks are learned last, those of
slivers of balloons behind others last of all: half of the regions show an object, and the mask's
loss counts threefold.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
RECIPE = ROOT / 'configs/downstream/detection/mask-rcnn_swin_smoke_coco.py'
STEPS = 2000
SCALE = '(224,224)'  # pictures of 640 px are fitted into it
OPTIONS = [
    'train_dataloader.batch_size=4',
    f'train_dataloader.dataset.dataset.pipeline.2.scale={SCALE}',
    f'val_dataloader.dataset.pipeline.1.scale={SCALE}',
    f'test_dataloader.dataset.pipeline.1.scale={SCALE}',
    'train_dataloader.dataset.pipeline.0.prob=0.0',
    f'train_cfg.max_iters={STEPS}',
    f'train_cfg.val_interval={STEPS}',
    'param_scheduler.0.end=50',
    'param_scheduler.1.begin=50',
    f'param_scheduler.1.end={STEPS}',
    f'default_hooks.checkpoint.interval={STEPS}',
    'optim_wrapper.optimizer.lr=1e-3',
    'optim_wrapper.paramwise_cfg.backbone_lr_mult=1.0',
    'auto_scale_lr.base_batch_size=4',
    'model.train_cfg.rcnn.sampler.pos_fraction=0.5',
    'model.roi_head.mask_head.loss_mask.loss_weight=3.0',
    'model.test_cfg.rcnn.max_per_img=100',
]


@pytest.mark.slow
def test_nine_tenths_of_the_balloons_are_found(photos, tmp_path) -> None:
    data = tmp_path / 'balloon.yaml'
    data.write_text(
        f'detection:\n  root: {photos / "balloon_small"}\n  val_images: train2017\n'
        '  val_annotations: annotations/instances_train2017.json\n'
    )
    found = subprocess.run(
        [sys.executable, 'tools/train.py', str(RECIPE), '--data', str(data),
         '--work-dir', str(tmp_path / 'run'), '--cfg-options', *OPTIONS],
        cwd=ROOT, env={**os.environ, 'OMP_NUM_THREADS': '2'}, capture_output=True, text=True,
        check=False)  # fmt: skip
    said = found.stdout + found.stderr
    assert found.returncode == 0, said[-3000:]
    scores = {
        kind: float(re.findall(rf'{kind}_mAP_50: ([\d.]+)', said)[-1]) for kind in ('box', 'mask')
    }
    assert min(scores.values()) > 90, scores
