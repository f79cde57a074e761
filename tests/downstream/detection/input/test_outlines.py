"""Objects through the jitter, all polygons of a picture at once, against one after the other."""

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from shapely.geometry import MultiPolygon, Polygon, box
from shapely.geometry.base import BaseMultipartGeometry

from downstream.detection.input.geometry import Draws, plan
from downstream.detection.input.outlines import area, clip, fill, jitter_objects

SIZE, TARGET = (90, 120), (64, 64)


def one_by_one(polygons, jitter):
    """The published order for one object: repair, cut, take the parts' outer rings."""
    top, left = jitter.offset
    window = box(left, top, left + jitter.target[1], top + jitter.target[0]).buffer(0)
    found = []
    for polygon in polygons:
        points = jitter.points(np.reshape(polygon, (-1, 2)))
        cut = Polygon(points).buffer(0).intersection(window)
        parts = cut.geoms if isinstance(cut, BaseMultipartGeometry) else [cut]
        sound = [one for one in parts if isinstance(one, Polygon) and one.is_valid and one.area]
        found += [np.array(one.exterior.coords)[:-1] - (left, top) for one in sound]
    return [part.reshape(-1) for part in found]


def objects_of(rng):
    """Stars, bow-ties, slivers, repeated points, lines, shapes over the edges and outside."""
    for _ in range(40):
        centre = rng.uniform(-20, 140, 2)
        angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 12)))
        points = centre + rng.uniform(1, 60) * np.c_[np.cos(angles), np.sin(angles)]
        kind = rng.integers(0, 5)
        if kind == 0:
            points = rng.permutation(points)  # crosses itself
        elif kind == 1:
            points = np.repeat(points, 2, 0)
        elif kind == 2:
            points[:, 1] = points[0, 1]  # a line
        elif kind == 3:
            points = points.round(-1)  # shares edges with the crop
        yield points.reshape(-1)


@pytest.mark.parametrize('seed', range(8))
def test_all_at_once_is_one_after_the_other(seed):
    rng = np.random.default_rng(seed)
    shapes = list(objects_of(rng))
    objects = [shapes[i : i + 1 + i % 3] for i in range(0, len(shapes), 3)]
    for _ in range(6):
        draws = Draws(rng.random(), rng.uniform(0.1, 2), rng.random())
        jitter = plan(SIZE, draws, TARGET)
        for found, polygons in zip(clip(objects, jitter), objects, strict=True):
            expected = one_by_one(polygons, jitter)
            assert area(found) == pytest.approx(area(expected), abs=1e-9)
            assert np.array_equal(fill(found, TARGET), fill(expected, TARGET))


def test_an_area_is_that_of_the_geometry():
    rng = np.random.default_rng(0)
    for _ in range(20):
        angles = np.sort(rng.uniform(0, 2 * np.pi, 7))
        points = 50 + 30 * np.c_[np.cos(angles), np.sin(angles)]
        expected = MultiPolygon([Polygon(points)]).area
        assert area([points.reshape(-1)]) == pytest.approx(expected)


def test_an_object_that_fills_no_pixel_stays():
    sliver = [10.1, 10.1, 10.4, 10.1, 10.4, 10.2]
    found = jitter_objects([[sliver]], plan(SIZE, Draws(0.9, 0.5, 0), (120, 120)))
    assert found.kept.tolist() == [0]
    assert not fill(found.outlines[0], (45, 60)).any()


def test_what_is_cut_away_is_left_out():
    square = [100, 60, 118, 60, 118, 88, 100, 88]
    jitter = plan(SIZE, Draws(0.9, 2.0, 0.0), TARGET)
    assert len(jitter_objects([[square]], jitter).kept) == 0
    assert clip([], jitter) == []


def test_polygons_beside_a_run_length_mask_are_filled():
    square = [10.0, 10, 40, 10, 40, 40, 10, 40]
    raster = coco_mask.merge(coco_mask.frPyObjects([square], *SIZE))
    found = jitter_objects([[square], raster], plan(SIZE, Draws(0.9, 1.0, 0.5), SIZE))
    assert found.outlines is None
    assert np.array_equal(*found.filled)
    assert np.array_equal(*found.boxes)
