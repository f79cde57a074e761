"""Confidence of a set's frames: which count as what, by hand; tables; calibration."""

import numpy as np
import pytest

from downstream.tracking.data import Sequence
from downstream.tracking.formats.layouts import TrackRecord, find_layout, write_tracks
from downstream.tracking.scoring.confidence import (
    ON_IT,
    THERE,
    confidence_tables,
    draw_confidence,
    fit_tracks,
    pooled_confidence,
)
from downstream.tracking.scoring.platt import calibrated
from mim_backbones.errors import UserError

BOX = [10.0, 10, 20, 20]
AWAY = [60.0, 60, 20, 20]
SHIFTED = [20.0, 10, 20, 20]  # IoU 1/3


@pytest.fixture
def video(tmp_path):
    """Six frames, the target out of view in the fourth."""
    visible = np.array([1, 1, 1, 0, 1, 1], bool)
    return Sequence('car-1', tmp_path, np.array([BOX] * 6), visible)


def pooled(video, found, scores, protocol='ostrack'):
    boxes = {'car-1': np.array(found)}
    return pooled_confidence([video], boxes, {'car-1': np.array(scores)}, protocol)


def test_which_frames_are_what(video):
    """The given frame is left out; an absent target is in no box, even where its truth is."""
    found = pooled(video, [BOX, BOX, SHIFTED, BOX, AWAY, BOX], [1, 0.9, 0.4, 0.3, 0.2, 0.8])
    assert found.confidence.tolist() == [0.9, 0.4, 0.3, 0.2, 0.8]
    assert found.events[THERE].tolist() == [True, True, False, True, True]
    assert found.events[ON_IT].tolist() == [True, False, False, False, True]
    tables = confidence_tables(found)
    assert tables['presence'][ON_IT]['f1'] == tables['presence'][ON_IT]['ordering'] == 1
    assert tables['presence'][THERE]['ordering'] == pytest.approx(3 / 4)  # 0.2 is below 0.3
    assert tables['reliability']['0.9 to 1.0'] == {
        'frames': 1, 'confidence': pytest.approx(0.9), THERE: 1, ON_IT: 1,
    }  # fmt: skip
    assert sum(row['frames'] for row in tables['reliability'].values()) == 5


def test_mmtracking_counts_a_box_where_nothing_is_as_none(video):
    found = pooled(video, [BOX] * 6, [1, 0.9, 0.9, 0.3, 0.9, 0.9], 'mmtracking')
    assert found.events[ON_IT].tolist() == [True, True, False, True, True]


def test_longer_tracks_are_cut_with_their_scores(video):
    found = pooled(video, [BOX] * 9, [1, 0.9, 0.4, 0.3, 0.2, 0.8, 0.1, 0.1, 0.1])
    assert len(found.confidence) == 5


def test_an_event_that_always_holds_tells_nothing(video):
    here = Sequence('car-1', video.folder, video.boxes, np.ones(6, bool))
    assert not pooled(here, [BOX] * 6, np.linspace(0, 1, 6)).events


def test_what_is_no_probability_has_no_reliability(video):
    found = pooled(video, [BOX] * 6, [9, 9, 8, -7, 9, 9])
    tables = confidence_tables(found)
    assert list(tables) == ['presence'] and 'ece' not in tables['presence'][THERE]
    assert draw_confidence(found).startswith(b'\x89PNG')


def test_the_curve_is_fitted_to_tracks_in_a_folder(video, tmp_path):
    boxes = np.array([BOX, BOX, AWAY, AWAY, AWAY, BOX])
    scores = np.array([1, 0.2, 0.1, 0.1, 0.1, 0.3])
    record = TrackRecord([boxes], scores=scores)
    write_tracks(tmp_path / 'tracks', {'car-1': record}, find_layout('pytracking'))
    line = fit_tracks([video], tmp_path / 'tracks', 'ostrack')
    low, high = calibrated(np.array([0.1, 0.3]), line)
    assert low < 0.5 < high
    write_tracks(
        tmp_path / 'lost', {'car-1': TrackRecord([boxes[[2] * 6]], scores=scores)},
        find_layout('pytracking'),
    )  # fmt: skip
    with pytest.raises(UserError, match='0 of 5 frames'):
        fit_tracks([video], tmp_path / 'lost', 'ostrack')
