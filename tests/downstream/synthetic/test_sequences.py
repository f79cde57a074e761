import numpy as np
import pytest

from downstream.synthetic.annotate import frame_truth
from downstream.synthetic.bank import texture_bank
from downstream.synthetic.layouts import lasot
from downstream.synthetic.render import render
from downstream.synthetic.sizes import SIZES

SIZE = SIZES['small']


def truths(index: int, step: int = 1):
    sequence = lasot.draw(0, 'train', index, SIZE)
    found = []
    for t in range(0, len(sequence), step):
        scene = sequence.frame(t)
        rendering = render(scene, (80, 60), texture_bank(0))
        found.append(frame_truth(scene, sequence.target, rendering))
    return found


@pytest.mark.parametrize(
    ('index', 'occluded', 'leaves'), [(0, True, False), (1, False, True), (2, True, True)]
)
def test_events_happen_as_planned(index, occluded, leaves):
    found = truths(index)
    assert any(truth.full_occlusion for truth in found) == occluded
    assert any(truth.out_of_view for truth in found) == leaves


def test_flags_agree_with_boxes():
    for truth in truths(2):
        absent = truth.full_occlusion or truth.out_of_view
        assert not (truth.full_occlusion and truth.out_of_view)
        assert (truth.box == (0, 0, 0, 0)) == absent
        if not absent:
            x, y, w, h = truth.box
            assert min(w, h) > 0
            assert min(x, y) >= 0
            assert (x + w, y + h) <= (80, 60) or (x + w <= 80 and y + h <= 60)


@pytest.mark.parametrize('index', range(16))
def test_the_target_is_seen_in_the_first_frame(index):
    sequence = lasot.draw(0, 'test', index, SIZE)
    scene = sequence.frame(0)
    rendering = render(scene, (80, 60), texture_bank(0))
    truth = frame_truth(scene, sequence.target, rendering)
    assert min(truth.box.width, truth.box.height) >= 5


def test_the_target_and_the_camera_move_smoothly():
    sequence = lasot.draw(0, 'train', 3, SIZE)
    motion = sequence.motions[sequence.target]
    assert np.ptp(motion.centre, axis=0).max() > 0.1
    assert np.ptp(motion.angle) > 0.05
    assert motion.radius.max() / motion.radius.min() > 1.02
    assert len({camera.shift for camera in sequence.cameras}) == len(sequence)
    steps = np.hypot(*np.diff(motion.centre, axis=0).T)
    assert steps.max() < 0.15  # of the height


def test_distractors_look_like_the_target():
    sequence = lasot.draw(0, 'train', 3, SIZE)
    target = sequence.scene.things[sequence.target]
    same = [thing for thing in sequence.scene.things if thing.label == target.label]
    assert len(same) >= 3
    twins = [t for t in same if np.array_equal(t.texture.palette, target.texture.palette)]
    assert len(twins) == 2
