from dataclasses import replace

import cv2
import numpy as np
import pytest

from downstream.synthetic.bank import texture_bank
from downstream.synthetic.build import one_opencv_thread
from downstream.synthetic.layouts import coco
from downstream.synthetic.render import render, silhouette
from downstream.synthetic.scene import Camera


@pytest.fixture
def scene():
    return coco.draw(0, 'train2017', 3)


def test_a_scene_gives_the_same_bytes_every_time(scene):
    with one_opencv_thread():
        alone = render(scene, (96, 96), texture_bank(0))
    again = render(coco.draw(0, 'train2017', 3), (96, 96), texture_bank(0))
    for a, b in zip(alone, again):
        assert np.array_equal(a, b)


def test_another_resolution_shows_the_same_things(scene):
    small = render(scene, (64, 64), texture_bank(0)).instances
    large = render(scene, (256, 256), texture_bank(0)).instances
    shrunk = cv2.resize(large.astype(np.uint8), (64, 64), interpolation=cv2.INTER_NEAREST)
    assert (shrunk == small).mean() > 0.95


def test_the_thing_before_hides_the_one_behind(scene):
    back, front = scene.things[0], scene.things[-1]
    moved = replace(back, centre=front.centre, radius=0.9 * front.radius)
    pile = replace(scene, things=(moved, front))
    seen = render(pile, (96, 96), texture_bank(0)).instances
    alone = silhouette(front, pile.to_picture(96), (96, 96))
    assert np.array_equal(seen == 2, alone)
    assert not (seen[alone] == 1).any()


def test_camera_shift_moves_the_picture(scene):
    there = replace(scene, camera=Camera(shift=(0.25, 0.0)))
    before = render(scene, (64, 64), texture_bank(0)).instances
    after = render(there, (64, 64), texture_bank(0)).instances
    assert np.array_equal(after[:, :48], before[:, 16:])


def test_a_thing_outside_leaves_no_trace(scene):
    far = replace(scene.things[0], centre=(5.0, 5.0))
    empty = replace(scene, things=())
    with_far = render(replace(scene, things=(far,)), (64, 64), texture_bank(0))
    assert np.array_equal(with_far.image, render(empty, (64, 64), texture_bank(0)).image)
