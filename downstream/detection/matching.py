"""Which detection matches which ground truth, per image and category: COCO's rules, in numpy.

One pass serves everything that is scored: the tables of all objects (for AP, its intervals and
comparisons) and those of small, medium and large ones. Detections by falling score take, at each
IoU threshold, the ground truth they overlap most that is still free; crowds and ground truth
outside the area range come last, are never used up (crowds), and make a detection count neither
right nor wrong. So does an unmatched detection whose own area is outside the range.

The same decisions as pycocotools' COCOeval, to the last tie: of equal overlaps the later ground
truth wins. One thing is mended, for AP and for its units alike: there a detection that matches the
annotation with id 0 reads as unmatched, which lowers AP (`InstanceAP` says so when a file has that
id).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pycocotools import mask as rle
from pycocotools.coco import COCO

from downstream.detection.units import IOU_THRESHOLDS, MatchTable
from downstream.results.units import Array

IOU_TYPE_OF = {'bbox': 'box', 'segm': 'mask'}
# Area ranges in square pixels; both ends belong to it.
AREAS = {'all': (0, 1e10), 's': (0, 32**2), 'm': (32**2, 96**2), 'l': (96**2, 1e10)}
MAX_DETECTIONS = 100
_THRESHOLDS = np.minimum(IOU_THRESHOLDS, 1 - 1e-10)
_LOW, _HIGH = np.array(list(AREAS.values()))[:, :, None].transpose(1, 0, 2)  # (A, 1) each


@dataclass(frozen=True)
class Matches:
    """Tables per IoU type ('box', 'mask') and area range, and ground truths (U, K) per range.

    names: of the units, the image ids.
    """

    names: list[str]
    num_gt: dict[str, Array]
    tables: dict[str, dict[str, MatchTable]]


def match(
    truth: COCO,
    results: Mapping[str, list[dict[str, Any]]],
    image_ids: Sequence[int] | None = None,
    category_ids: Sequence[int] | None = None,
) -> Matches:
    """Match COCO result entries per 'bbox' and / or 'segm' with the ground truth.

    Args:
        image_ids, category_ids: what to evaluate; by default all of `truth`.

    Raises:
        ValueError: results of an unknown kind, or of an image that is not in `truth`.
    """
    unknown = set(results) - set(IOU_TYPE_OF)
    if unknown:
        raise ValueError(f'results for {sorted(unknown)}; known: {sorted(IOU_TYPE_OF)}')
    foreign = {e['image_id'] for found in results.values() for e in found} - set(truth.imgs)
    if foreign:
        raise ValueError(f'detections of image {min(foreign)}, which is not in the ground truth')
    images = sorted(truth.getImgIds() if image_ids is None else image_ids)
    categories = sorted(truth.getCatIds() if category_ids is None else category_ids)
    pairs = [(image, category) for image in images for category in categories]
    objects = _by_pair(truth.loadAnns(truth.getAnnIds(imgIds=images, catIds=categories)))
    shape = (len(AREAS), len(images), len(categories))
    num_gt = np.zeros(shape, np.int32).reshape(len(AREAS), -1)
    for row, pair in enumerate(pairs):
        if pair in objects:
            num_gt[:, row] = (~_ignored(objects[pair])).sum(1)
    tables = {}
    for kind, entries in results.items():
        found = _by_pair(entries)
        places = [(row, pair) for row, pair in enumerate(pairs) if pair in found]
        parts = [_match_pair(truth, kind, objects.get(p, []), found[p]) for _, p in places]
        tables[IOU_TYPE_OF[kind]] = _tables([row for row, _ in places], parts, len(categories))
    counts = dict(zip(AREAS, num_gt.reshape(shape)))
    return Matches([str(image) for image in images], counts, tables)


Part = tuple[Array, Array, Array]  # scores (D,), matched and ignored (A, T, D) bool


def _match_pair(
    truth: COCO, kind: str, objects: list[dict[str, Any]], found: list[dict[str, Any]]
) -> Part:
    """One category in one image; detections come out by falling score, ties in given order."""
    scores = np.array([entry['score'] for entry in found], np.float64)
    order = np.argsort(-scores, kind='stable')[:MAX_DETECTIONS]
    found, scores = [found[i] for i in order], scores[order]
    areas = _areas(kind, found)
    outside = (areas < _LOW) | (areas > _HIGH)  # (A, D)
    flags = (len(AREAS), len(_THRESHOLDS), len(found))
    matched, ignored = np.zeros(flags, bool), np.zeros(flags, bool)
    if objects:
        crowd = np.array([bool(each.get('iscrowd', 0)) for each in objects])
        left_out = _ignored(objects)  # (A, G)
        overlap = _overlaps(truth, kind, objects, found, crowd)  # (D, G)
        # What is to be preferred: counted before left out, then the larger overlap, then the later.
        rank = overlap.argsort(1, kind='stable').argsort(1)
        free = np.ones((*flags[:2], len(objects)), bool)  # (A, T, G)
        for d in np.flatnonzero(overlap.max(1) >= _THRESHOLDS[0]):
            choice = np.where(left_out, 0, len(objects)) + rank[d] + 1  # (A, G)
            choice = choice[:, None] * (free & (overlap[d] >= _THRESHOLDS[:, None]))
            best = choice.argmax(2)  # (A, T)
            hit = np.take_along_axis(choice, best[..., None], 2)[..., 0] > 0
            matched[..., d] = hit
            ignored[..., d] = hit & np.take_along_axis(left_out, best, 1)
            a, t = np.nonzero(hit & ~crowd[best])
            free[a, t, best[a, t]] = False
    return scores, matched, ignored | (~matched & outside[:, None])


def _tables(rows: list[int], parts: list[Part], categories: int) -> dict[str, MatchTable]:
    """The detections of all pairs (row = image x categories + category), one table per range."""
    counts = [len(scores) for scores, _, _ in parts]
    image, category = divmod(np.repeat(np.array(rows, np.int32), counts), max(categories, 1))
    none = np.zeros((len(AREAS), len(_THRESHOLDS), 0), bool)
    scores = np.concatenate([[], *(part[0] for part in parts)])
    matched = np.concatenate([none, *(part[1] for part in parts)], axis=2).transpose(0, 2, 1)
    ignored = np.concatenate([none, *(part[2] for part in parts)], axis=2).transpose(0, 2, 1)
    return {
        name: MatchTable(image, category, scores, matched[a], ignored[a])
        for a, name in enumerate(AREAS)
    }


def _by_pair(entries: Sequence[dict[str, Any]]) -> dict[tuple[int, int], list[dict[str, Any]]]:
    found: dict[tuple[int, int], list[dict[str, Any]]] = {}
    for entry in entries:
        found.setdefault((entry['image_id'], entry['category_id']), []).append(entry)
    return found


def _ignored(objects: list[dict[str, Any]]) -> Array:
    """(A, G) bool: crowds, and what is outside each range."""
    crowd = np.array([bool(each.get('iscrowd', 0)) for each in objects])
    areas = np.array([each['area'] for each in objects], np.float64)
    return crowd | (areas < _LOW) | (areas > _HIGH)


def _areas(kind: str, found: list[dict[str, Any]]) -> Array:
    if kind == 'bbox':
        return np.array([entry['bbox'][2] * entry['bbox'][3] for entry in found], np.float64)
    return rle.area([entry['segmentation'] for entry in found]).astype(np.float64)


def _overlaps(
    truth: COCO,
    kind: str,
    objects: list[dict[str, Any]],
    found: list[dict[str, Any]],
    crowd: Array,
) -> Array:
    """(D, G); with a crowd the share of the detection that lies in it."""
    if kind == 'bbox':
        ours, theirs = [e['bbox'] for e in found], [e['bbox'] for e in objects]
    else:
        ours, theirs = [e['segmentation'] for e in found], [truth.annToRLE(e) for e in objects]
    return np.asarray(rle.iou(ours, theirs, crowd.astype(np.uint8).tolist()))
