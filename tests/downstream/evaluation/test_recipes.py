"""Smoke recipes through tools/train.py and tools/test.py, and for every family through eval."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from downstream.detection.task import TASK as DETECTION
from downstream.evaluation.protocols import find_protocol
from downstream.task import find_task
from mim_backbones.data_spec import load_data_spec

ROOT = Path(__file__).parents[3]


def tool(name: str, *words: object) -> str:
    done = subprocess.run(
        [sys.executable, str(ROOT / 'tools' / name), *map(str, words)],
        capture_output=True,
        text=True,
        env={**os.environ, 'OMP_NUM_THREADS': '1'},
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


def data_options(task: str, world: Path) -> list[str]:
    """What a user changes in a smoke recipe to train it on the synthetic world."""
    spec = load_data_spec(world)
    datasets = ['train_dataloader.dataset.dataset', 'val_dataloader.dataset',
                'test_dataloader.dataset']  # fmt: skip
    options = [
        'train_dataloader.batch_size=2',
        'train_cfg.max_iters=2',
        'train_cfg.val_interval=2',
        'default_hooks.checkpoint.interval=2',
    ]
    if task == 'detection':
        root, file = (
            spec['detection'].root,
            spec['detection'].root / spec['detection'].val_annotations,
        )
        classes = DETECTION.describe(spec['detection']).classes
        options += [f'{split}_evaluator.ann_file={file}' for split in ('val', 'test')]
        heads = ('roi_head.bbox_head', 'roi_head.mask_head')
    else:
        root, classes = spec['segmentation'].root, spec['segmentation'].classes
        heads = ('decode_head', 'auxiliary_head')
        labels = zip(datasets, (1, 2, 2))  # where each pipeline loads them
        options += [f'{d}.pipeline.{place}.num_classes={len(classes)}' for d, place in labels]
    options += [f'{dataset}.data_root={root}' for dataset in datasets]
    options += [f'{dataset}.metainfo.classes={",".join(classes)}' for dataset in datasets]
    return options + [f'model.{head}.num_classes={len(classes)}' for head in heads]


@pytest.mark.slow
@pytest.mark.parametrize(('task', 'metric'), [('detection', 'mask_mAP'), ('segmentation', 'mIoU')])
def test_train_validate_and_test(world, tmp_path, task, metric):
    recipe = find_protocol(task, 'smoke', 'vit').path
    given = ['--work-dir', tmp_path, '--cfg-options', *data_options(task, world)]
    assert f'{metric}: ' in tool('train.py', recipe, *given)
    assert f'{metric}: ' in tool('test.py', recipe, tmp_path / 'iter_2.pth', *given)


SWIN = {'type': 'mim_backbones.MIMSwin', 'img_size': 64, 'window_size': 4, 'mask_token': True,
        'arch': {'embed_dim': 24, 'depths': (1, 2, 1, 1), 'num_heads': (1, 2, 4, 8)}}  # fmt: skip
HIERA = {'type': 'mim_backbones.MIMHiera', 'img_size': 64, 'q_pool': 2, 'mask_token': True,
         'arch': {'embed_dim': 24, 'depths': (1, 1, 2, 1), 'num_heads': 1}}  # fmt: skip
FAMILIES = {'swin': SWIN, 'swin-v2': {**SWIN, 'version': 2}, 'hiera': HIERA}


@pytest.mark.slow
@pytest.mark.parametrize('task', ['detection', 'segmentation'])
@pytest.mark.parametrize('family', FAMILIES)
def test_every_family_trains_and_scores(family, task, world, make_job, train_job, tmp_path):
    import torch

    from mim_backbones.registry import MODELS

    recorded, file = FAMILIES[family], tmp_path / 'epoch_1.pth'
    state = MODELS.build(dict(recorded)).state_dict()
    record = {'method': 'SimMIM', 'backbone': recorded}
    content = {f'backbone.{key}': value for key, value in state.items()}
    torch.save({'state_dict': content, 'meta': {'mimbench': record}}, file)
    options = {'train_cfg.max_iters': 2, 'train_dataloader.batch_size': 2}
    job = make_job(task, file, backbone=recorded, options=options)
    assert job.protocol.family == family.partition('-')[0]
    found = train_job(job, load_data_spec(world))
    assert find_task(task).primary(found.metrics)
    assert len(found.units) == 4
    assert found.pictures
