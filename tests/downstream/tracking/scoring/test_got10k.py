import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from shapely import box as polygon

from downstream.tracking.data import TrackingData
from downstream.tracking.scoring.got10k import (
    Got10kTruth,
    frame_overlaps,
    frames_per_second,
    pooled_scores,
    read_truths,
)
from downstream.tracking.task import TASK
from mim_backbones.errors import UserError

SIZE = (100, 80)
BOXES = np.array([[10.0, 10, 20, 20], [10, 10, 20, 20], [10, 10, 20, 20], [90, 70, 20, 20]])


def truth_of(boxes, cover=(8, 8, 8, 8)):
    return Got10kTruth('GOT-10k_Val_000001', boxes, np.array(cover), SIZE)


def test_by_hand():
    predicted = np.array([[0.0, 0, 1, 1], [10, 10, 20, 10], [-5, 10, 20, 20], [90, 70, 10, 10]])
    # The first is given. 200/400; a corner at -5 becomes 0 and keeps its size: 200/600; the last
    # truth is cut to 10 x 10.
    found = frame_overlaps(predicted, truth_of(BOXES))
    assert found == pytest.approx([0.5, 1 / 3, 1])
    assert pooled_scores([found]) == {
        'AO': pytest.approx(100 * (1 / 2 + 1 / 3 + 1) / 3),
        'SR_50': pytest.approx(100 / 3),  # 0.5 is not above 0.5
        'SR_75': pytest.approx(100 / 3),
    }


def test_covered_frames_do_not_count_and_frames_are_pooled():
    found = frame_overlaps(BOXES, truth_of(BOXES, (8, 0, 3, 0)))
    assert found == pytest.approx([1])
    assert pooled_scores([found, np.zeros(3)])['AO'] == pytest.approx(25)


whole = arrays(np.int64, (5, 4), elements=st.integers(1, 40)).map(lambda found: found.astype(float))


@settings(max_examples=30, deadline=None)
@given(predicted=whole, boxes=whole)
def test_inside_the_image_overlap_is_that_of_polygons(predicted, boxes):
    truth = Got10kTruth('a', boxes, np.full(5, 8), (100, 100))
    for found, one, other in zip(frame_overlaps(predicted, truth), predicted[1:], boxes[1:]):
        first, second = (polygon(x, y, x + w, y + h) for x, y, w, h in (one, other))
        assert found == pytest.approx(first.intersection(second).area / first.union(second).area)


@pytest.mark.parametrize(
    ('predicted', 'message'),
    [(BOXES[:3], '3 predicted boxes for 4'), (BOXES * np.nan, 'not finite')],
)
def test_what_cannot_be_scored(predicted, message):
    with pytest.raises(UserError, match=message):
        frame_overlaps(predicted, truth_of(BOXES))
    with pytest.raises(UserError, match='no frame to score'):
        pooled_scores([frame_overlaps(BOXES, truth_of(BOXES, (8, 0, 0, 0)))])


def test_speed_is_the_mean_of_frames_per_second():
    assert frames_per_second([np.array([0.1, 0.5]), np.array([np.nan, 0])]) == 6
    assert np.isnan(frames_per_second([]))


@pytest.fixture
def split(tmp_path):
    folder = tmp_path / 'val' / 'GOT-10k_Val_000001'
    folder.mkdir(parents=True)
    np.savetxt(folder / 'groundtruth.txt', BOXES, fmt='%.4f', delimiter=',')
    (folder / 'cover.label').write_text('8\n0\n3\n8\n')
    (folder / 'meta_info.ini').write_text('[METAINFO]\nurl: here\nresolution: (100, 80)\n')
    (tmp_path / 'val' / 'list.txt').write_text('GOT-10k_Val_000001\n')
    return tmp_path / 'val'


def test_a_split_is_read_and_scored(split):
    (truth,) = read_truths(split, 'list.txt')
    assert truth.cover.tolist() == [8, 0, 3, 8] and truth.size == SIZE
    np.testing.assert_array_equal(truth.boxes, BOXES)
    data = TrackingData(split, test_list='list.txt', layout='got10k')
    assert all(path.exists() for path in data.wanted())
    card = TASK.describe(data)
    assert (card.train, card.val) == (0, 1)
    results = split.parent / 'results' / truth.name
    results.mkdir(parents=True)
    for run, move in enumerate((0, 10)):
        file = results / f'{truth.name}_00{run + 1}.txt'
        np.savetxt(file, BOXES + np.array([move, 0, 0, 0]), fmt='%.3f', delimiter=',')
    np.savetxt(results / f'{truth.name}_time.txt', [[0.1, 0.1]] * 4, delimiter=',')
    found = TASK.score_predictions(data, results.parent, 'got10k')
    # frames 3 and 4 of two runs: 1, 1; 200/600, and 0 x 10 of 10 x 10 at the border
    assert found.metrics['AO'] == pytest.approx(100 * (1 + 1 + 1 / 3 + 0) / 4)
    assert found.metrics['SR_75'] == 50
    assert found.rules == 'got10k'
    assert found.tables['speed']['as written']['frames/s'] == pytest.approx(10)


@pytest.mark.parametrize(
    ('file', 'text', 'message'),
    [
        ('cover.label', '8\n8\n', r'cover\.label: expected 4 values from 0 to 8'),
        ('cover.label', '8\n8\n9\n1\n', 'from 0 to 8'),
        ('meta_info.ini', 'resolution: large\n', r'meta_info\.ini: no line `resolution'),
    ],
)
def test_broken_splits_are_named(split, file, text, message):
    (split / 'GOT-10k_Val_000001' / file).write_text(text)
    with pytest.raises(UserError, match=message):
        read_truths(split, 'list.txt')


def test_protocol_and_layout_go_together(split, lasot_root):
    got10k = TrackingData(split, test_list='list.txt', layout='got10k')
    with pytest.raises(UserError, match='protocol and layout got10k go together'):
        TASK.score_predictions(got10k, split, 'ostrack')
    with pytest.raises(UserError, match='protocol and layout got10k go together'):
        TASK.score_predictions(TrackingData(lasot_root), split, 'got10k')
    with pytest.raises(UserError, match="layout is 'otb'"):
        TASK.describe(TrackingData(lasot_root, layout='otb'))
    with pytest.raises(UserError, match='trained and tested on layout lasot'):
        TASK.fit_data({}, got10k)
