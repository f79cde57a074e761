"""The smoke recipes on small real sets, with all their quirks: a few steps, then scores."""

import json
from dataclasses import replace

import pytest

from downstream.detection.data import DetectionData
from downstream.segmentation.data import SegmentationData
from mim_backbones.data_spec import DataSpec

FEW = {'train_cfg.max_iters': 2, 'train_dataloader.batch_size': 4}


@pytest.mark.slow
@pytest.mark.parametrize('name', ['coco_small', 'balloon_small'])
def test_detection(shared, weights, make_job, train_job, name):
    """coco_small: category ids with gaps, an image without annotation, a greyscale one."""
    from downstream.detection.task import TASK

    spec = DataSpec(shared, {'detection': DetectionData(root=shared / 'data' / name)})
    job = make_job('detection', weights, card=TASK.describe(spec['detection']), options=FEW)
    found = train_job(job, spec)
    assert {'box_mAP', 'mask_mAP', 'box_mAP_50', 'mask_mAP_50'} <= set(found.metrics)
    assert len(found.units) == job.card.val


@pytest.mark.slow
def test_training_on_images_without_annotation_and_greyscale(
    shared, weights, make_job, train_job, tmp_path
):
    """The val split of coco_small has both; here it is trained on as well."""
    root = shared / 'data' / 'coco_small'
    val = {'images': 'val2017', 'annotations': 'annotations/instances_val2017.json'}
    content = json.loads((root / val['annotations']).read_text())
    empty = {image['id'] for image in content['images']} - {
        annotation['image_id'] for annotation in content['annotations']
    }
    assert len(empty) == 1
    data = replace(
        DetectionData(root=root), train_images=val['images'], train_annotations=val['annotations']
    )
    # Every one of the 27 images is seen.
    options = {'train_cfg.max_iters': 7, 'train_dataloader.batch_size': 4}
    found = train_job(
        make_job('detection', weights, options=options), DataSpec(tmp_path, {'detection': data})
    )
    assert found.metrics['box_mAP'] >= 0


@pytest.mark.slow
def test_segmentation_with_void_11(shared, weights, make_job, train_job):
    from downstream.segmentation.task import TASK

    root = shared / 'data' / 'camvid_small'
    classes = tuple(line.split()[-1] for line in (root / 'classes.txt').read_text().splitlines())
    data = SegmentationData(root=root, classes=classes[:11], ignore_index=11)
    spec = DataSpec(shared, {'segmentation': data})
    job = make_job('segmentation', weights, card=TASK.describe(spec['segmentation']), options=FEW)
    found = train_job(job, spec)
    # README of the set: void takes 3.5 % of the pixels; they count nowhere.
    labelled, predicted = found.units.labelled.sum(), found.units.predicted.sum()
    assert labelled == predicted
    assert 0.9 < labelled / (40 * 360 * 480) < 0.99


@pytest.mark.slow
def test_segmentation_with_unlabelled_0(shared, weights, make_job, train_job):
    root = shared / 'data' / 'ade_small'
    names = tuple(f'class {i}' for i in range(150))
    data = SegmentationData(root=root, classes=names, reduce_zero_label=True)
    found = train_job(
        make_job('segmentation', weights, options=FEW), DataSpec(shared, {'segmentation': data})
    )
    assert found.metrics['aAcc'] >= 0
