"""The objects of a picture after large-scale jitter: polygons are clipped before any is filled."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from pycocotools import mask as coco_mask

from downstream.detection.input.geometry import Jitter, Size
from downstream.detection.input.resample import nearest_part

LEAST = 1e-5  # side in pixels of a box that is kept
Polygons = list[np.ndarray]  # of one object, x0 y0 x1 y1 ...


@dataclass(frozen=True)
class Objects:
    """What is left of a picture's objects.

    Attributes:
        kept: (M,) int, which of the objects given.
        boxes: (M, 4) float32 xyxy in pixels of the result: the extent of the outlines, not of the
            pixels that they fill.
        outlines: of each its polygons; None where one of the objects is a run-length mask, or where
            none has a mask.
        filled: (M, h, w) uint8 where one of the objects is a run-length mask, else None.
    """

    kept: np.ndarray
    boxes: np.ndarray
    outlines: list[Polygons] | None = None
    filled: np.ndarray | None = None


def jitter_objects(segmentations: Sequence[Any], jitter: Jitter) -> Objects:
    """Take objects through the jitter; those without extent in the result are left out.

    Args:
        segmentations: of each object, as COCO writes it: polygons, or a run-length mask.
    """
    size = jitter.source
    runs = {i: one for i, one in enumerate(segmentations) if isinstance(one, dict)}
    outlines = clip([[] if i in runs else one for i, one in enumerate(segmentations)], jitter)
    boxes = np.array([extent(one) for one in outlines], np.float32).reshape(-1, 4)
    rasters = {i: cut_raster(decode_runs(one, size), jitter) for i, one in runs.items()}
    for i, raster in rasters.items():
        boxes[i] = raster_extent(raster)
    kept = np.flatnonzero((boxes[:, 2:] - boxes[:, :2] > LEAST).all(1))
    if not rasters:
        return Objects(kept, boxes[kept], [outlines[i] for i in kept])
    filled = np.zeros((len(kept), *jitter.shape), np.uint8)
    for place, i in enumerate(kept):
        filled[place] = rasters[i] if i in rasters else fill(outlines[i], jitter.shape)
    return Objects(kept, boxes[kept], filled=filled)


def jitter_boxes(boxes: np.ndarray, jitter: Jitter) -> Objects:
    """`jitter_objects` of objects that have a box alone, (N, 4) xyxy."""
    found = jitter.boxes(boxes).astype(np.float32)
    kept = np.flatnonzero((found[:, 2:] - found[:, :2] > LEAST).all(1))
    return Objects(kept, found[kept])


def clip(objects: Sequence[Sequence[Any]], jitter: Jitter) -> list[Polygons]:
    """The part of each object's polygons within the crop, in pixels of the result.

    Every polygon goes through the geometry library, cut or not, as published: one may fall into
    parts, holes are dropped, and of one that crosses itself a lobe is lost.
    """
    flat = [np.asarray(polygon, np.float64) for polygons in objects for polygon in polygons]
    found: list[Polygons] = [[] for _ in objects]
    if not flat:
        return found
    owner = np.repeat(np.arange(len(objects)), [len(polygons) for polygons in objects])
    points = jitter.points(np.concatenate(flat).reshape(-1, 2))
    ring = np.repeat(np.arange(len(flat)), [len(polygon) // 2 for polygon in flat])
    (top, left), (height, width) = jitter.offset, jitter.target
    with np.errstate(invalid='ignore'):  # GEOS raises the flag, and shapely would warn
        shapes = shapely.buffer(shapely.polygons(shapely.linearrings(points, indices=ring)), 0)
        sound = np.flatnonzero(shapely.is_valid(shapes))
        window = shapely.buffer(shapely.box(left, top, left + width, top + height), 0)
        parts, of = shapely.get_parts(
            shapely.intersection(shapes[sound], window), return_index=True
        )
        plane = (shapely.get_type_id(parts) == shapely.GeometryType.POLYGON) & ~shapely.is_empty(
            parts
        )
        plane &= shapely.is_valid(parts)
    rings = shapely.get_exterior_ring(parts[plane])
    corners, of_ring = shapely.get_coordinates(rings, return_index=True)
    corners -= (left, top)
    ends = np.searchsorted(of_ring, np.arange(len(rings) + 1))
    for k, i in enumerate(owner[sound[of[plane]]]):
        found[i].append(corners[ends[k] : ends[k + 1] - 1].reshape(-1))  # the last is the first
    return found


def extent(polygons: Polygons) -> tuple[float, float, float, float]:
    """x0, y0, x1, y1; of nothing a box without extent."""
    if not polygons:
        return 0, 0, 0, 0
    x = np.concatenate([polygon[0::2] for polygon in polygons])
    y = np.concatenate([polygon[1::2] for polygon in polygons])
    return x.min(), y.min(), x.max(), y.max()


def area(polygons: Polygons) -> float:
    """Of the polygons, by their corners."""
    each = (polygon.reshape(-1, 2) for polygon in polygons)
    return sum(
        0.5 * abs(np.dot(p[:, 0], np.roll(p[:, 1], 1)) - np.dot(p[:, 1], np.roll(p[:, 0], 1)))
        for p in each
    )


def fill(polygons: Polygons, size: Size) -> np.ndarray:
    """(h, w) uint8 by COCO's rasteriser."""
    if not polygons:
        return np.zeros(size, np.uint8)
    return coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(polygons, *size)))


def decode_runs(runs: dict[str, Any], size: Size) -> np.ndarray:
    """A run-length mask, compressed or not, as (h, w) uint8.

    Raises:
        ValueError: it is of another size, or cannot be decoded.
    """
    if list(runs['size']) != list(size):
        raise ValueError(f'a run-length mask of {runs["size"]} in a picture of {list(size)}')
    packed = coco_mask.frPyObjects(runs, *size) if isinstance(runs['counts'], list) else runs
    return coco_mask.decode(packed)


def cut_raster(mask: np.ndarray, jitter: Jitter) -> np.ndarray:
    """(h, w) of the picture -> of the result, by nearest points."""
    mask = mask[:, ::-1] if jitter.flipped else mask
    out = np.zeros(jitter.shape, np.uint8)
    height, width = jitter.kept
    out[:height, :width] = nearest_part(mask, jitter.resized, jitter.offset, jitter.kept)
    return out


def raster_extent(mask: np.ndarray) -> tuple[int, int, int, int]:
    """x0, y0, x1, y1 around its pixels; of none a box without extent."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return 0, 0, 0, 0
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
