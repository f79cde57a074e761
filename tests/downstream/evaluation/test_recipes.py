"""The recipes through tools/train.py and tools/test.py, OpenMMLab's way."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from downstream.detection.data import class_names
from downstream.evaluation.protocols import PROTOCOLS, find_protocol, recipe_path
from mim_backbones.data_spec import load_data_spec
from mim_backbones.errors import UserError

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
        classes = class_names(spec['detection'])
        options += [f'{split}_evaluator.ann_file={file}' for split in ('val', 'test')]
        heads = ('roi_head.bbox_head', 'roi_head.mask_head')
    else:
        root, classes = spec['segmentation'].root, spec['segmentation'].classes
        heads = ('decode_head', 'auxiliary_head')
    options += [f'{dataset}.data_root={root}' for dataset in datasets]
    options += [f'{dataset}.metainfo.classes={",".join(classes)}' for dataset in datasets]
    return options + [f'model.{head}.num_classes={len(classes)}' for head in heads]


@pytest.mark.slow
@pytest.mark.parametrize(('task', 'metric'), [('detection', 'mask_mAP'), ('segmentation', 'mIoU')])
def test_train_validate_and_test(world, tmp_path, task, metric):
    recipe = recipe_path(find_protocol(task, 'smoke'))
    given = ['--work-dir', tmp_path, '--cfg-options', *data_options(task, world)]
    assert f'{metric}: ' in tool('train.py', recipe, *given)
    assert f'{metric}: ' in tool('test.py', recipe, tmp_path / 'iter_2.pth', *given)


def test_every_protocol_has_its_recipe():
    for protocol in PROTOCOLS:
        assert recipe_path(protocol).is_file()
    assert len({(p.task, p.protocol.tier) for p in PROTOCOLS}) == len(PROTOCOLS)


def test_unknown_task_and_tier_are_named():
    with pytest.raises(UserError, match="no task 'pose'; known: detection"):
        find_protocol('pose', 'smoke')
    with pytest.raises(UserError, match="no tier 'gold'; known: smoke"):
        find_protocol('detection', 'gold')
