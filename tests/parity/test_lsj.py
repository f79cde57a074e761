"""Large-scale jitter of ViTDet's release: picture, boxes, masks and targets for the given draws."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from downstream.detection.input.geometry import Draws, Jitter, plan
from downstream.detection.input.large_scale_jitter import jitter_image, masks_of
from downstream.detection.input.outlines import Objects, area, clip, fill, jitter_objects

FAMILY = 'lsj'
Case = tuple[Jitter, np.ndarray, Callable[[], Objects], list[dict[str, Any]]]


def cases(content: dict[str, Any]) -> list[str]:
    return [*content.get('cases', {})]


def jitter_of(golden: dict[str, Any], name: str) -> Jitter:
    case = golden['cases'][name]
    options = {**golden['config'].get('base_options', {}), **case.get('options', {})}
    source = tuple(golden['image'].shape[:2])
    target = tuple(options['target_size'])
    return plan(source, Draws(**case['draws']), target, options['flip_prob'], options['pad'])


def objects_of(golden: dict[str, Any]) -> list[int]:
    """Places of what is no crowd: those that are trained on."""
    return [i for i, one in enumerate(golden['annotations']) if not one['iscrowd']]


def jittered(golden: dict[str, Any], name: str) -> tuple[Objects, np.ndarray]:
    """What is left, and where it stands in `annotations`."""
    places = objects_of(golden)
    polygons = [[one.numpy() for one in golden['annotations'][i]['polygons']] for i in places]
    found = jitter_objects(polygons, jitter_of(golden, name))
    return found, np.array(places)[found.kept]


@pytest.mark.golden(FAMILY, needs=['image', 'config'], each=cases)
def test_geometry(golden, field) -> None:
    case, jitter = golden['cases'][field], jitter_of(golden, field)
    assert jitter.flipped == case['flipped']
    assert jitter.resized == tuple(case['resized_hw'])
    assert jitter.offset[::-1] == tuple(case['crop_offset_xy'])


@pytest.mark.golden(FAMILY, needs=['image', 'config'], each=cases)
def test_image(golden, field) -> None:
    found = jitter_image(golden['image'].numpy(), jitter_of(golden, field))
    assert np.array_equal(found, golden['cases'][field]['image'].numpy())


@pytest.mark.golden(FAMILY, needs=['image', 'config', 'annotations'], each=cases)
def test_given_boxes(golden, field, same) -> None:
    boxes = [golden['annotations'][i]['bbox_xyxy'] for i in objects_of(golden)]
    found = jitter_of(golden, field).boxes(np.array(boxes).reshape(-1, 4))
    same('annotation_boxes', found, golden['cases'][field]['annotation_boxes'], atol=1e-9)


@pytest.mark.golden(FAMILY, needs=['image', 'config', 'annotations'], each=cases)
def test_objects_that_are_left(golden, field, same) -> None:
    case, (found, places) = golden['cases'][field], jittered(golden, field)
    assert places.tolist() == case['kept'].tolist()
    classes = [golden['annotations'][i]['category'] for i in places]
    assert classes == case['gt_classes'].tolist()
    same('gt_boxes', found.boxes, case['gt_boxes'])
    same('gt_polygon_area', [area(one) for one in found.outlines],
         case['gt_polygon_area'], atol=1e-9, rtol=1e-9)  # fmt: skip
    parts = [len(one) for one in found.outlines]
    assert parts == [len(one) for one in case['gt_polygons']]


@pytest.mark.golden(FAMILY, needs=['image', 'config', 'annotations'], each=cases)
def test_masks(golden, field) -> None:
    case, (found, _) = golden['cases'][field], jittered(golden, field)
    masks = masks_of(found, jitter_of(golden, field).shape)
    assert np.array_equal(masks.to_ndarray().astype(bool), case['gt_masks'].numpy())


@pytest.mark.golden(FAMILY, needs=['image', 'config', 'annotations'], each=cases)
def test_targets_of_the_mask_head(golden, field) -> None:
    case, (found, _) = golden['cases'][field], jittered(golden, field)
    masks = masks_of(found, jitter_of(golden, field).shape)
    expected = case['mask_targets_28'].numpy()
    every = np.arange(len(expected))
    targets = masks.crop_and_resize(case['gt_boxes'].numpy(), expected.shape[1:], every)
    assert np.array_equal(targets.to_ndarray().astype(bool), expected)


@pytest.mark.golden(FAMILY, needs=['model_input', 'image', 'config'])
def test_what_the_model_sees(golden, same) -> None:
    from mmdet.models import DetDataPreprocessor

    import mmdet.registry  # noqa: F401  the augmentation is found in mmdet's scope

    expected = golden['model_input']
    side = expected['square_size']
    square = {'type': 'mmdet.BatchFixedSizePad', 'size': (side, side), 'img_pad_value': 0}
    preprocess = DetDataPreprocessor(expected['mean'], expected['std'], batch_augments=[square])
    image = jitter_image(golden['image'].numpy(), jitter_of(golden, expected['case']))
    batch = {'inputs': [torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))]}
    from mmdet.structures import DetDataSample

    batch['data_samples'] = [DetDataSample()]
    found = preprocess(batch, training=True)['inputs'][0]
    same('tensor', found, expected['tensor'])


@pytest.mark.golden(FAMILY, needs=['invalid_polygon'])
def test_a_polygon_that_crosses_itself(golden) -> None:
    case = golden['invalid_polygon']
    size = tuple(case['hw'])
    polygon = case['polygon'].numpy()
    ((*found,),) = clip([[polygon]], plan(size, Draws(1.0, 1.0, 0.0), size))
    assert np.array_equal(fill([polygon], size), case['mask_before'].numpy())
    assert np.array_equal(fill(found, size), case['mask_after'].numpy())
    expected = [one.numpy() for one in case['after_identity_crop']]
    assert [area(found)] == pytest.approx([area(expected)], rel=1e-9)
