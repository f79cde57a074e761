"""Which detection matches which ground truth, per image and category, as pycocotools decides it.

The matching is pycocotools' own, for area range all and 100 detections; only its tables are kept.
"""

import contextlib
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from downstream.detection.units import IOU_THRESHOLDS, MatchTable
from downstream.results.units import Array

IOU_TYPE_OF = {'bbox': 'box', 'segm': 'mask'}
WHOLE_RANGE = [0, 1e5**2]  # pycocotools' area range 'all'
MAX_DETECTIONS = 100


def match(
    gt: COCO,
    results: Mapping[str, list[dict[str, Any]]],
    image_ids: Sequence[int] | None,
    category_ids: Sequence[int] | None,
) -> tuple[list[str], Array, dict[str, MatchTable]]:
    """Unit names (image ids), num_gt (U, K) and a match table per IoU type.

    Raises:
        ValueError: results of an unknown kind, or of an image that is not in `gt`.
    """
    unknown = set(results) - set(IOU_TYPE_OF)
    if unknown:
        raise ValueError(f'results for {sorted(unknown)}; known: {sorted(IOU_TYPE_OF)}')
    images = sorted(gt.getImgIds() if image_ids is None else image_ids)
    categories = sorted(gt.getCatIds() if category_ids is None else category_ids)
    num_gt = np.zeros((len(images), len(categories)), np.int32)
    rows = {image: row for row, image in enumerate(images)}
    columns = {category: column for column, category in enumerate(categories)}
    for ann in gt.loadAnns(gt.getAnnIds(imgIds=images, catIds=categories)):
        if not ann.get('iscrowd', 0):
            num_gt[rows[ann['image_id']], columns[ann['category_id']]] += 1
    tables = {
        IOU_TYPE_OF[kind]: _match_table(gt, kind, detections, images, categories)
        for kind, detections in results.items()
    }
    return [str(image) for image in images], num_gt, tables


def _match_table(
    gt: COCO, kind: str, results: list[dict[str, Any]], images: list[int], categories: list[int]
) -> MatchTable:
    foreign = {entry['image_id'] for entry in results} - set(gt.getImgIds())
    if foreign:
        raise ValueError(f'detections of image {min(foreign)}, which is not in the ground truth')
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its progress
        evaluator = COCOeval(gt, _as_coco(gt, results), kind)
        evaluator.params.imgIds = images
        evaluator.params.catIds = categories
        evaluator.params.iouThrs = IOU_THRESHOLDS
        evaluator.params.areaRng = [WHOLE_RANGE]
        evaluator.params.areaRngLbl = ['all']
        evaluator.params.maxDets = [MAX_DETECTIONS]
        evaluator.evaluate()
    rows = {image: row for row, image in enumerate(images)}
    columns = {category: column for column, category in enumerate(categories)}
    found = [entry for entry in evaluator.evalImgs if entry is not None and entry['dtIds']]
    flags = np.zeros((len(IOU_THRESHOLDS), 0), bool)
    counts = [len(entry['dtIds']) for entry in found]
    return MatchTable(
        image=np.repeat([rows[entry['image_id']] for entry in found], counts).astype(np.int32),
        category=np.repeat([columns[e['category_id']] for e in found], counts).astype(np.int32),
        score=np.concatenate([[], *(entry['dtScores'] for entry in found)]),
        matched=np.concatenate([flags, *(_matched(e) for e in found)], axis=1).T,
        ignored=np.concatenate([flags, *(e['dtIgnore'] for e in found)], axis=1).T.astype(bool),
    )


def _matched(entry: dict[str, Any]) -> Array:
    """(T, D) bool. pycocotools writes the annotation's id, so that id 0 reads as no match; many
    small data sets count from 0, hence those are looked up from the ground truth's side."""
    matched = entry['dtMatches'] > 0
    for column in np.flatnonzero(np.array(entry['gtIds']) == 0):
        matched |= entry['gtMatches'][:, column, None] == np.array(entry['dtIds'])
    return matched


def _as_coco(gt: COCO, results: list[dict[str, Any]]) -> COCO:
    if results:
        return gt.loadRes([dict(entry) for entry in results])  # loadRes writes into the entries
    empty = COCO()  # loadRes cannot read an empty list
    empty.dataset = {**gt.dataset, 'annotations': []}
    empty.createIndex()
    return empty
