"""A small Mask R-CNN on jittered pictures: ids with gaps, pictures without objects."""

import json
import shutil

import pytest
import torch

from downstream.detection.data import DetectionData, describe
from downstream.detection.task import fit_data
from mim_backbones.training.config import read_config
from mim_backbones.training.launch import build_runner

TRAIN = 'annotations/instances_train2017.json'
JITTER = [
    {'type': 'downstream.LargeScaleJitter', 'size': (64, 64), 'ratio_range': (0.1, 2.0),
     'flip': 0.5, 'pad': False},
    {'type': 'PackDetInputs'},
]  # fmt: skip


@pytest.fixture
def data(world, tmp_path):
    """Every second picture without an object; the category ids have gaps, as COCO's."""
    root = tmp_path / 'coco'
    shutil.copytree(world / 'coco', root)
    for path in (root / 'annotations').iterdir():
        content = json.loads(path.read_text())
        for category in content['categories']:
            category['id'] = 5 * category['id'] + 1
        for annotation in content['annotations']:
            annotation['category_id'] = 5 * annotation['category_id'] + 1
        bare = {image['id'] for image in content['images'][::2]}
        content['annotations'] = [
            one for one in content['annotations'] if one['image_id'] not in bare
        ]
        path.write_text(json.dumps(content))
    return DetectionData(root=root)


@pytest.mark.slow
@pytest.mark.parametrize('filtered', [False, True])
def test_it_trains(data, tmp_path, filtered):
    cfg = read_config('configs/downstream/detection/mask-rcnn_vit_smoke_coco.py')
    cfg.merge_from_dict({
        'work_dir': str(tmp_path / 'out'),
        'train_cfg.max_iters': 3,
        'train_dataloader.batch_size': 3,
        'param_scheduler.1.end': 20,
    })  # fmt: skip
    dataset = cfg.train_dataloader.dataset.dataset
    dataset.pipeline = JITTER
    dataset.filter_cfg = {'filter_empty_gt': filtered}
    cfg.train_dataloader.dataset = dataset
    fit_data(cfg, data, describe(data).classes)
    cfg.val_dataloader = cfg.val_cfg = cfg.val_evaluator = None
    runner = build_runner(cfg)
    runner.train()
    dataset = runner.train_dataloader.dataset
    assert len(dataset) == (4 if filtered else 8)
    labels = torch.cat(
        [dataset[i]['data_samples'].gt_instances.labels for i in range(len(dataset))]
    )
    assert labels.max() < len(describe(data).classes)
    assert all(torch.isfinite(value).all() for value in runner.model.parameters())
