"""Which detection matches which ground truth: COCO's rules, decided for all images at once.

Detections by falling score take, at each IoU threshold, the ground truth they overlap most that is
still free; crowds and ground truth outside the area range come last, are never used up (crowds),
and make a detection count neither right nor wrong. So does an unmatched detection whose own area is
outside the range.

The order matters only within an image and category. So the best detection of every image and
category decides first, all of them in one step of numpy, then all the second best, and so on. Only
those that overlap something take part, over pairs of detection and object: rounds are few and
their arrays small. faster-coco-eval's C++ matching is not used: it keeps its decisions per
detection to itself, and they are what intervals and comparisons are made from.

The same decisions as pycocotools' COCOeval, to the last tie: of equal overlaps the later ground
truth wins. One thing is mended, for AP and for its units alike: there a detection that matches the
annotation with id 0 reads as unmatched, which lowers AP (`InstanceAP` says so when a file has that
id).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from pycocotools.coco import COCO

from downstream.detection.scoring.overlaps import ImageDetections, objects_of
from downstream.detection.units import IOU_THRESHOLDS, IOU_TYPES, DetectionUnits, MatchTable
from downstream.results.units import Array

# Area ranges in square pixels; both ends belong to it.
AREAS = {'all': (0, 1e10), 's': (0, 32**2), 'm': (32**2, 96**2), 'l': (96**2, 1e10)}
_THRESHOLDS = np.minimum(IOU_THRESHOLDS, 1 - 1e-10)
_LOW, _HIGH = np.array(list(AREAS.values())).T  # (A,) each


@dataclass(frozen=True)
class _Decisions:
    """Of one IoU type, for the C detections that overlap an object enough; N: all of them."""

    area: Array  # (N,) float64
    candidate: Array  # (C,) int, which of the N
    matched: Array  # (C, A, T) bool
    ignored: Array  # (C, A, T) bool


@dataclass(frozen=True)
class Matches:
    """Decisions on every detection, per IoU type ('box', 'mask') and area range.

    names: of the units, the image ids.
    """

    names: list[str]
    num_gt: dict[str, Array]  # per area range, (U, K): ground truths that count
    image: Array  # (N,) int32, index into the names
    category: Array  # (N,) int32
    score: Array  # (N,) float64
    decisions: dict[str, _Decisions]

    def table(self, kind: str, area: str) -> MatchTable:
        """The detections as one IoU type and area range judges them."""
        found, a = self.decisions[kind], list(AREAS).index(area)
        flags = (len(self.image), len(IOU_THRESHOLDS))
        matched, ignored = np.zeros(flags, bool), np.zeros(flags, bool)
        matched[found.candidate] = found.matched[:, a]
        ignored[(found.area < _LOW[a]) | (found.area > _HIGH[a])] = True
        ignored &= ~matched
        ignored[found.candidate] |= found.ignored[:, a]
        return MatchTable(self.image, self.category, self.score, matched, ignored)

    def units(self) -> DetectionUnits:
        """What intervals and comparisons need: objects of every area, by image."""
        tables = {kind: self.table(kind, 'all') for kind in self.decisions}
        return DetectionUnits(self.names, self.num_gt['all'], tables)


def match(truth: COCO, detections: Mapping[int, ImageDetections]) -> Matches:
    """Match the detections of the images that are scored, by image id, with the ground truth."""
    images = sorted(detections)
    found = [detections[image] for image in images]
    counts = [len(one.score) for one in found]
    image = np.repeat(np.arange(len(images), dtype=np.int32), counts)
    category = np.concatenate([np.zeros(0, np.int32), *(one.category for one in found)])
    score = np.concatenate([np.zeros(0), *(one.score for one in found)])
    objects = _Objects(truth, images)
    starts = np.cumsum([0, *counts])
    pair = image.astype(np.int64) * max(len(truth.cats), 1) + category  # image and category in one
    kinds = [kind for kind in IOU_TYPES if any(kind in one.kinds for one in found)]
    return Matches(
        [str(each) for each in images],
        dict(zip(AREAS, objects.counted())),
        image,
        category,
        score,
        {kind: _decide(kind, found, starts, pair, objects) for kind in kinds},
    )


class _Objects:
    """The G annotations of the images, image by image, as arrays."""

    def __init__(self, truth: COCO, images: list[int]) -> None:
        of_image = [objects_of(truth, image) for image in images]
        self.starts = np.cumsum([0, *(len(each) for each in of_image)])
        flat = [one for each in of_image for one in each]
        self.image = np.repeat(np.arange(len(images)), np.diff(self.starts))
        ids = np.array([one['category_id'] for one in flat], np.int64)
        self.category = np.searchsorted(sorted(truth.cats), ids)
        self.crowd = np.array([bool(one.get('iscrowd', 0)) for one in flat], bool)
        area = np.array([one['area'] for one in flat], np.float64)[:, None]
        self.left_out = self.crowd[:, None] | (area < _LOW) | (area > _HIGH)  # (G, A)
        self.shape = (len(images), len(truth.cats))

    def counted(self) -> Array:
        """(A, U, K) int32: how many count, per area range."""
        counts = np.zeros((len(AREAS), *self.shape), np.int32)
        for a in range(len(AREAS)):
            rows = ~self.left_out[:, a]
            np.add.at(counts[a], (self.image[rows], self.category[rows]), 1)
        return counts


def _decide(
    kind: str, found: list[ImageDetections], starts: Array, pair: Array, objects: _Objects
) -> _Decisions:
    """starts: (U + 1,) first detection of each image; pair: (N,) its image and category."""
    kinds = [one.kinds[kind] for one in found]
    edges = [len(each.detection) for each in kinds]
    # E pairs of detection and object over all images, by detection
    detection = np.concatenate([[0][:0], *(each.detection for each in kinds)]).astype(np.int64)
    detection += np.repeat(starts[:-1], edges)
    thing = np.concatenate([[0][:0], *(each.truth for each in kinds)]).astype(np.int64)
    thing += np.repeat(objects.starts[:-1], edges)
    overlap = np.concatenate([np.zeros(0), *(each.overlap for each in kinds)])
    order = np.lexsort((thing, overlap, detection))  # of equal overlaps the later object is better
    detection, thing, overlap = detection[order], thing[order], overlap[order]
    candidate, of = np.unique(detection, return_inverse=True)
    rank = _position(of) + 1  # of an edge among its detection's: the higher the better
    turn = _position(pair[candidate])  # of a detection within its image and category
    shape = (len(candidate), len(AREAS), len(_THRESHOLDS))
    matched, ignored = np.zeros(shape, bool), np.zeros(shape, bool)
    taken = np.zeros((len(objects.crowd), *shape[1:]), bool)
    better = int(rank.max(initial=0)) + 1  # what counts comes before what is left out
    for rows in _groups(turn[of]):
        g, crowd = thing[rows], objects.crowd[thing[rows], None, None]
        value = rank[rows, None] + better * ~objects.left_out[g]  # (E, A)
        able = (overlap[rows, None, None] >= _THRESHOLDS) & (crowd | ~taken[g])  # (E, A, T)
        value = value[:, :, None] * able
        first = np.flatnonzero(np.diff(of[rows], prepend=-1))  # edges of one detection are a run
        best = np.maximum.reduceat(value, first)
        matched[of[rows[first]]] = best > 0
        ignored[of[rows[first]]] = (best > 0) & (best < better)
        # within a turn no object is met twice: detections are of different images or categories
        taken[g] |= able & (value == np.repeat(best, np.diff([*first, len(rows)]), axis=0))
    area = np.concatenate([np.zeros(0), *(each.area for each in kinds)])
    return _Decisions(area, candidate, matched, ignored)


def _groups(key: Array) -> list[Array]:
    """Indices of the elements of each key, by rising key."""
    order = np.argsort(key, kind='stable')
    groups = np.split(order, np.flatnonzero(np.diff(key[order])) + 1)
    return [group for group in groups if len(group)]


def _position(group: Array) -> Array:
    """Position of each element within its run of equal values."""
    begins = np.flatnonzero(np.diff(group, prepend=-1))
    return np.arange(len(group)) - np.repeat(begins, np.diff([*begins, len(group)]))
