"""Targets of polygons, and what mmdet does with masks on the way to its heads."""

import numpy as np
import pytest
import torch
from mmdet.models import DetDataPreprocessor
from mmdet.structures import DetDataSample
from mmdet.structures.mask import PolygonMasks, mask_target
from mmengine.config import Config
from mmengine.structures import InstanceData

from downstream.detection.input.polygon_masks import ClippedPolygons

SQUARE = np.array([10.0, 10, 30, 10, 30, 30, 10, 30])
BAR = np.array([40.0, 5, 40.5, 5, 40.5, 45, 40, 45])  # half a pixel wide


@pytest.fixture
def masks():
    return ClippedPolygons([[SQUARE], [BAR]], 50, 60)


def test_a_target_is_filled_at_its_own_size(masks):
    boxes = np.array([[10, 10, 50, 30]], np.float32)
    (found,) = masks.crop_and_resize(boxes, (28, 28), np.array([0])).to_ndarray()
    assert found[:, :14].all() and not found[:, 14:].any()  # by hand: the square is its left half


def test_a_slim_region_keeps_its_object(masks):
    boxes = np.array([[40, 5, 40.5, 45]], np.float32)
    found = masks.crop_and_resize(boxes, (28, 28), np.array([1])).to_ndarray()
    assert found.all()
    stock = PolygonMasks(masks.masks, 50, 60)
    assert not stock.crop_and_resize(boxes, (28, 28), np.array([1])).to_ndarray().all()


def test_they_stay_what_they_are(masks):
    for other in (masks[np.array([True, False])], masks[[1, 0]], masks.pad((64, 64)), masks[1]):
        assert type(other) is ClippedPolygons
    assert (masks.pad((64, 70)).height, masks.pad((64, 70)).width) == (64, 70)
    assert len(masks[np.zeros(0, int)]) == 0


def test_no_soft_targets(masks):
    with pytest.raises(ValueError, match='soft_mask_target'):
        masks.crop_and_resize(np.zeros((1, 4)), (28, 28), np.array([0]), binarize=False)


def test_through_mmdets_preprocessor_to_the_head(masks):
    sample = DetDataSample(metainfo={'img_shape': (50, 60)})
    sample.gt_instances = InstanceData(masks=masks, bboxes=torch.tensor([[10.0, 10, 30, 30]] * 2))
    batch = {'inputs': [torch.zeros(3, 50, 60, dtype=torch.uint8)], 'data_samples': [sample]}
    preprocess = DetDataPreprocessor(pad_mask=True, pad_size_divisor=32)
    (after,) = preprocess(batch, training=True)['data_samples']
    regions = torch.tensor([[10.0, 10, 30, 30], [40, 5, 40.5, 45]])
    found = mask_target(
        [regions], [torch.tensor([0, 1])], [after.gt_instances.masks], Config({'mask_size': 28})
    )
    assert found.shape == (2, 28, 28) and found.all()
    none = mask_target(
        [regions[:0]], [torch.zeros(0, dtype=torch.long)], [masks], Config({'mask_size': 28})
    )
    assert none.shape == (0, 28, 28)
