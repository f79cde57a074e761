"""One image's detections against its ground truth, kept as a few numbers each: no mask is kept.

All that COCO's rules ask of a detection is its category, score, area and which objects of its
category it overlaps by half or more. So each image is reduced to that as soon as it is predicted,
its masks are dropped, and what a whole data set takes is bounded by its detections, whatever the
size of the images. The overlaps themselves, of boxes and of masks, are faster-coco-eval's (C++).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from faster_coco_eval.core import mask as overlap_of
from pycocotools import mask as rle
from pycocotools.coco import COCO

from downstream.detection.units import IOU_THRESHOLDS
from downstream.results.units import Array

MAX_DETECTIONS = 100  # of an image and category


@dataclass(frozen=True)
class Overlaps:
    """Detections of one image with areas, and those pairs that may match, of one IoU type.

    With a crowd the overlap is the share of the detection that lies in it.
    """

    area: Array  # (D,) float64, square pixels
    detection: Array  # (E,) int32, index into the image's detections
    truth: Array  # (E,) int32, index into the image's annotations, in the file's order
    overlap: Array  # (E,) float64, at least the lowest IoU threshold


@dataclass(frozen=True)
class ImageDetections:
    """Detections by category, then by falling score; at most MAX_DETECTIONS of each category.

    Ties keep the given order. kinds: 'box' and 'mask', or one of them.
    """

    category: Array  # (D,) int32, index into the categories
    score: Array  # (D,) float64
    kinds: dict[str, Overlaps]


def overlaps_of_image(
    truth: COCO,
    image_id: int,
    category: Array,
    score: Array,
    boxes: Array | None = None,
    masks: Sequence[dict[str, Any]] | None = None,
) -> ImageDetections:
    """What is kept of one image's detections.

    Args:
        truth: ground truth; categories are numbered by rising id.
        category: (D,) integers, index into the categories; -1, of none of them, is left out.
        score: (D,) numbers.
        boxes: (D, 4) float64: left, top, width, height in pixels.
        masks: D COCO run-length encodings of the image's size.

    Raises:
        ValueError: the image is not in `truth`, or a mask is broken or of another size.
    """
    if image_id not in truth.imgs:
        raise ValueError(f'detections of image {image_id}, which is not in the ground truth')
    category, score = np.asarray(category, np.int32), np.asarray(score, np.float64)
    kept = _best_of_each(category, score)
    category, score = category[kept], score[kept]
    objects = objects_of(truth, image_id)
    known = np.array(sorted(truth.cats))
    wanted = np.searchsorted(known, [each['category_id'] for each in objects])
    crowd = [int(bool(each.get('iscrowd', 0))) for each in objects]
    kinds = {}
    if boxes is not None:
        ours = np.ascontiguousarray(boxes[kept], np.float64).reshape(-1, 4)
        theirs = np.array([each['bbox'] for each in objects], np.float64).reshape(-1, 4)
        pairs = _pairs(ours, theirs, category, wanted, crowd)
        kinds['box'] = Overlaps(ours[:, 2] * ours[:, 3], *pairs)
    if masks is not None:
        found = [masks[i] for i in kept]
        encoded = [truth.annToRLE(each) for each in objects]
        pairs = _pairs(found, encoded, category, wanted, crowd)
        area = rle.area(found).astype(np.float64) if found else np.zeros(0)
        kinds['mask'] = Overlaps(area, *pairs)
    return ImageDetections(category, score, kinds)


def objects_of(truth: COCO, image_id: int) -> list[dict[str, Any]]:
    """An image's annotations in the file's order."""
    return [one for one in truth.imgToAnns.get(image_id, []) if one['category_id'] in truth.cats]


def _best_of_each(category: Array, score: Array) -> Array:
    """Indices by category, then by falling score, cut to the best of each category."""
    order = np.lexsort((-score, category))
    order = order[category[order] >= 0]
    ordered = category[order]
    first = np.searchsorted(ordered, ordered)  # where each category begins
    return order[np.arange(len(order)) - first < MAX_DETECTIONS]


def _pairs(
    ours: Any, theirs: Any, category: Array, wanted: Array, crowd: list[int]
) -> tuple[Array, Array, Array]:
    """(detection, truth, overlap) of every pair of one category that overlaps enough to match."""
    parts = []
    for one in np.unique(wanted):
        mine, others = np.flatnonzero(category == one), np.flatnonzero(wanted == one)
        if not len(mine):
            continue
        found = np.asarray(
            overlap_of.iou(_take(ours, mine), _take(theirs, others), [crowd[i] for i in others])
        )  # (detections, objects)
        d, g = np.nonzero(found >= IOU_THRESHOLDS[0])
        parts.append((mine[d], others[g], found[d, g]))
    if not parts:
        return np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0)
    detection, object_, overlap = (np.concatenate(each) for each in zip(*parts))
    return detection.astype(np.int32), object_.astype(np.int32), overlap


def _take(shapes: Any, rows: Array) -> Any:
    return shapes[rows] if isinstance(shapes, np.ndarray) else [shapes[i] for i in rows]
