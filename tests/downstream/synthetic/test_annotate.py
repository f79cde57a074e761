import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco_mask

from downstream.synthetic.annotate import coco_annotations, encode_region, label_map, tight_box
from downstream.synthetic.bank import texture_bank
from downstream.synthetic.classes import stuff_label
from downstream.synthetic.layouts import coco
from downstream.synthetic.render import render


def decode(region, shape: tuple[int, int]) -> np.ndarray:
    if isinstance(region, list):
        region = coco_mask.merge(coco_mask.frPyObjects(region, *shape))
    return coco_mask.decode(region).astype(bool)


def test_a_rectangle_becomes_its_corners():
    mask = np.zeros((6, 8), bool)
    mask[1:4, 2:7] = True
    (polygon,) = encode_region(mask)
    corners = {tuple(corner) for corner in np.reshape(polygon, (-1, 2))}
    assert corners == {(2, 1), (7, 1), (7, 4), (2, 4)}  # pixel corners, by hand
    assert tight_box(mask) == (2, 1, 5, 3)


def test_a_hole_or_a_second_part_needs_an_rle():
    mask = np.zeros((8, 8), bool)
    mask[1:6, 1:6] = True
    mask[3, 3] = False
    assert isinstance(encode_region(mask)['counts'], str)
    mask[3, 3] = True
    mask[7, 7] = True
    assert encode_region(mask)['size'] == [8, 8]


@given(arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))).filter(np.any))
@settings(max_examples=200, deadline=None)
def test_any_region_is_decoded_to_the_same_pixels(mask):
    assert np.array_equal(decode(encode_region(mask), mask.shape), mask)


@pytest.mark.parametrize('index', range(12))
def test_annotations_agree_with_the_instance_map(index):
    scene = coco.draw(0, 'val2017', index)
    rendering = render(scene, (96, 96), texture_bank(0))
    seen = {
        number: rendering.instances == number
        for number, thing in enumerate(scene.things, start=1)
        if thing.label and (rendering.instances == number).sum() >= 16
    }
    found = coco_annotations(scene, rendering)
    assert len(found) == len(seen)
    for annotation, (number, mask) in zip(found, seen.items()):
        decoded = decode(annotation['segmentation'], mask.shape)
        assert np.array_equal(decoded, mask)
        assert annotation['category_id'] == scene.things[number - 1].label
        assert annotation['area'] == mask.sum()
        rows, columns = np.nonzero(mask)
        x, y, w, h = annotation['bbox']
        assert (x, y) == (columns.min(), rows.min())
        assert (x + w, y + h) == (columns.max() + 1, rows.max() + 1)


def test_label_map_names_objects_grounds_and_clutter():
    scene = coco.draw(0, 'val2017', 2)
    rendering = render(scene, (96, 96), texture_bank(0))
    labels = label_map(scene, rendering)
    for number, thing in enumerate(scene.things, start=1):
        assert (labels[rendering.instances == number] == thing.label).all()
    empty = rendering.instances == 0
    for index, ground in enumerate(scene.grounds):
        there = empty & (rendering.grounds == index)
        assert (labels[there] == stuff_label(ground.texture.family)).all()
