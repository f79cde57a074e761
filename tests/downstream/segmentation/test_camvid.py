"""Real photos: UperNet on a small ViT without pre-training learns camvid_small's training pictures.

Scored on the pictures it trained on, at their full size, void left out. Two threads.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
RECIPE = ROOT / 'configs/downstream/segmentation/upernet_vit_smoke_ade.py'
STEPS = 1600
SCALE, CROP = '(1024,192)', '(160,160)'  # shorter side of pictures, of 360 px; crops of them
OPTIONS = [
    f'train_dataloader.dataset.dataset.pipeline.2.scale={SCALE}',
    f'val_dataloader.dataset.pipeline.1.scale={SCALE}',
    f'test_dataloader.dataset.pipeline.1.scale={SCALE}',
    f'train_dataloader.dataset.pipeline.0.crop_size={CROP}',
    f'model.data_preprocessor.size={CROP}',
    'model.backbone.img_size=160',
    f'train_cfg.max_iters={STEPS}',
    f'train_cfg.val_interval={STEPS}',
    f'param_scheduler.1.end={STEPS}',
    f'default_hooks.checkpoint.interval={STEPS}',
]


@pytest.mark.slow
def test_nine_tenths_of_the_pixels_within_a_quarter_of_an_hour(photos, tmp_path) -> None:
    root = photos / 'camvid_small'
    classes = (root / 'classes.txt').read_text().split()
    names = ', '.join(name for name in classes if not name.isdigit() and 'void' not in name)
    data = tmp_path / 'camvid.yaml'
    data.write_text(
        f'segmentation:\n  root: {root}\n  classes: [{names}]\n  ignore_index: 11\n'
        '  train: training\n  val: training\n'
    )
    found = subprocess.run(
        [sys.executable, 'tools/train.py', str(RECIPE), '--data', str(data),
         '--work-dir', str(tmp_path / 'run'), '--cfg-options', *OPTIONS],
        cwd=ROOT, env={**os.environ, 'OMP_NUM_THREADS': '2'}, capture_output=True, text=True,
        check=False)  # fmt: skip
    said = found.stdout + found.stderr
    assert found.returncode == 0, said[-3000:]
    accuracy = float(re.findall(r'aAcc: ([\d.]+)', said)[-1])
    assert accuracy >= 90, accuracy
