"""A lost target is looked for in the whole picture: where windows lie, and what a tracker does."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from downstream.tracking.redetection import OVERHANG, STEP, Redetection
from downstream.tracking.tracker import Tracker, update_together

AGAIN = {'lost': 0.3, 'found': 0.6, 'every': 2, 'most': 40}


@settings(max_examples=60, deadline=None)
@given(
    width=st.integers(40, 400),
    height=st.integers(40, 300),
    side=st.integers(8, 80),
    x=st.floats(0, 1),
    y=st.floats(0, 1),
)
def test_every_place_is_near_the_middle_of_a_window(width, height, side, x, y):
    """Along each axis within a quarter of a window, at the picture's edge nearly half of it."""
    box = np.array([5.0, 5, side, side])
    windows = Redetection(0.3, 0.6, most=10**6).windows(box, (height, width), 2.5)
    reach = windows[0].side
    middles = np.array([[one.left + reach / 2, one.top + reach / 2] for one in windows])
    point = np.array([x * width, y * height])
    for axis, length in enumerate((width, height)):
        apart = np.abs(middles[:, axis] - point[axis]).min()
        edge = (0.5 - OVERHANG) * reach
        inner = edge <= point[axis] <= length - edge
        assert apart <= (STEP / 2 if inner else 0.5 - OVERHANG) * reach + 1


def test_the_nearest_windows_come_first_and_no_more_than_asked():
    box = np.array([300.0, 200, 20, 20])
    every = Redetection(0.3, 0.6, most=10**6).windows(box, (480, 640), 2.5)
    assert len(every) > 300
    some = Redetection(0.3, 0.6, most=9).windows(box, (480, 640), 2.5)
    assert some == every[:9]
    far = [np.hypot(one.centre[0] - 310, one.centre[1] - 210) for one in every]
    assert far == sorted(far)


@pytest.fixture
def model(make_model, monkeypatch):
    """Its score is how bright the brightest cell is, its box that cell; the target is white.

    Where nothing is, the box stays.
    """
    model = make_model(redetection=AGAIN, margin=1).eval()

    def find(template, crops, anywhere=False):
        cells = crops.float().mean(3).unflatten(2, (8, 8)).unflatten(1, (8, 8)).mean((2, 4)) / 255
        weighted = (cells if anywhere else cells * model.hann) + 1e-3 * model.hann
        best, index = weighted.flatten(1).max(1)
        centre = (torch.stack([index % 8, index // 8], 1) + 0.5 - (index[:, None] == 36) / 2) / 8
        return torch.cat([centre, torch.full((len(crops), 2), 0.25)], 1), best

    monkeypatch.setattr(model, 'find', find)
    return model


def picture(x, y, white=255):
    """A square of 24 px with its corner at x, y; None: nothing in it."""
    image = np.zeros((240, 320, 3), np.uint8)
    if x is not None:
        image[y : y + 24, x : x + 24] = white
    return image


def started(model, x=40, y=40):
    tracker = Tracker(model)
    tracker.init(picture(x, y), np.array([x, y, 24.0, 24]))
    return tracker


def reach(tracker, x, y):
    return np.abs(tracker.box[:2] + tracker.box[2:] / 2 - [x + 12, y + 12]).max()


def test_it_comes_back_elsewhere(model):
    tracker = started(model)
    assert tracker.update(picture(42, 40))[1] > 0.3
    for _ in range(3):
        assert tracker.update(picture(None, 0))[1] < 0.3
    box, score = tracker.update(picture(250, 180))  # the fourth frame without it: looked for
    assert reach(tracker, 250, 180) < 12 and score >= 0.6
    assert tracker.frames_lost == 0 and box is tracker.box


def test_between_looks_and_without_redetection_it_stays(model):
    tracker = started(model)
    tracker.update(picture(250, 180))  # lost for one frame: not yet looked for
    assert reach(tracker, 250, 180) > 100
    model.redetection = None
    tracker = started(model)
    for _ in range(6):
        tracker.update(picture(250, 180))
    assert reach(tracker, 250, 180) > 100


def test_what_is_no_better_than_found_is_not_taken(model):
    tracker = started(model)
    for _ in range(6):
        tracker.update(picture(250, 180, white=140))  # a score of 0.55
    assert reach(tracker, 250, 180) > 100


def test_the_nearest_windows_alone_are_looked_at(model):
    model.redetection = Redetection(0.3, 0.6, most=9)
    tracker = started(model)
    for _ in range(4):
        tracker.update(picture(250, 180))
    assert reach(tracker, 250, 180) > 100
    for _ in range(2):
        tracker.update(picture(110, 60))
    assert reach(tracker, 110, 60) < 12


def test_side_by_side_as_alone(model):
    frames = [picture(42, 40), picture(None, 0), picture(250, 180), picture(250, 180)]
    still = [picture(42, 40)] * 4
    together = [started(model), started(model)]
    alone = [started(model), started(model)]
    for moved, stays in zip(frames, still):
        found = update_together(together, [moved, stays])
        for (box, score), tracker, image in zip(found, alone, (moved, stays)):
            other, its = tracker.update(image)
            assert box.tolist() == other.tolist() and score == its
    assert reach(together[0], 250, 180) < 12 and reach(together[1], 42, 40) < 12


def test_a_new_start_forgets(model):
    tracker = started(model)
    tracker.update(picture(None, 0))
    assert tracker.frames_lost == 1
    tracker.init(picture(40, 40), np.array([40, 40, 24.0, 24]))
    assert tracker.frames_lost == 0


@pytest.mark.parametrize('wrong', [{'lost': 0}, {'found': 1}, {'every': 0}, {'most': 0}])
def test_what_cannot_be_meant(make_model, wrong):
    with pytest.raises(ValueError, match=r'scores in \(0, 1\), every and most'):
        make_model(redetection={**AGAIN, **wrong})


def test_an_exported_tracker_has_none(make_model):
    """Its graph prefers the middle: it has no `redetection`, and never looks elsewhere."""

    class Exported:
        def __init__(self, model):
            self.model = model

        def __getattr__(self, name):
            if name == 'redetection':
                raise AttributeError
            return getattr(self.model, name)

        def find(self, template, crops):
            return self.model.find(template, crops)

    tracker = Tracker(Exported(make_model(redetection=AGAIN).eval()))
    tracker.init(picture(40, 40), np.array([40.0, 40, 24, 24]))
    for _ in range(3):
        tracker.update(picture(None, 0))
    assert tracker.frames_lost == 0
