import numpy as np
import pytest
import torch

from downstream.tracking.data import read_sequences
from downstream.tracking.head import HeadMaps, decode
from downstream.tracking.tracker import Tracker, track_sequences
from mim_backbones.errors import UserError


@pytest.fixture
def sequences(make_lasot):
    root = make_lasot(train=3, test=1, frames=9)
    for number, keep in ((1, 9), (2, 5), (3, 1)):  # different lengths, one of a single frame
        folder = root / 'cube' / f'cube-{number}'
        lines = (folder / 'groundtruth.txt').read_text().splitlines()[:keep]
        (folder / 'groundtruth.txt').write_text('\n'.join(lines))
        for flags in ('full_occlusion.txt', 'out_of_view.txt'):
            (folder / flags).write_text(','.join(['0'] * keep))
    return read_sequences(root, 'training_set.txt')


def alone(model, sequence):
    tracker = Tracker(model)
    tracker.init(sequence.read_frame(0), sequence.boxes[0])
    return np.stack(
        [sequence.boxes[0]]
        + [tracker.update(sequence.read_frame(i))[0] for i in range(1, len(sequence))]
    )


@pytest.mark.parametrize('count', [1, 2, 3])
def test_side_by_side_equals_alone(make_model, sequences, count):
    model = make_model().eval()
    tracks = track_sequences(model, sequences[:count])
    assert [track.name for track in tracks] == ['cube-1', 'cube-2', 'cube-3'][:count]
    assert [len(track.boxes) for track in tracks] == [9, 5, 1][:count]
    for track, sequence in zip(tracks, sequences):
        np.testing.assert_allclose(track.boxes, alone(model, sequence), atol=1e-3)
        assert track.scores.shape == (len(sequence),)
        assert track.scores[0] == 1


def test_box_comes_from_the_best_cell(make_model, monkeypatch):
    """By hand: target 16 x 16 at (40, 40), search side 64 = the crop, so one cell is 8 px."""
    model = make_model().eval()
    maps = HeadMaps(torch.zeros(1, 1, 8, 8), torch.zeros(1, 2, 8, 8), torch.zeros(1, 2, 8, 8))
    maps.score[0, 0, 4, 5] = 0.5
    maps.size[0, :, 4, 5] = torch.tensor([0.5, 0.25])
    maps.offset[0, :, 4, 5] = torch.tensor([0.5, 0.0])
    monkeypatch.setattr(model, 'find', lambda template, crops: decode(maps, model.hann))
    tracker = Tracker(model)
    image = np.zeros((200, 200, 3), np.uint8)
    tracker.init(image, np.array([40.0, 40, 16, 16]))
    box, score = tracker.update(image)
    # the window starts at 48 - 32 = 16; centre (16 + 5.5 * 8, 16 + 4 * 8), size 32 x 16
    assert box == pytest.approx([60 - 16, 48 - 8, 32, 16])
    assert score == pytest.approx(0.5 * float(model.hann[4, 5]))


def test_size_inertia_by_hand(make_model, monkeypatch):
    """Found are 64 x 64 px after 16 x 16: halfway between their logarithms lies 32."""
    model = make_model(size_inertia=0.5).eval()
    maps = HeadMaps(torch.zeros(1, 1, 8, 8), torch.ones(1, 2, 8, 8), torch.zeros(1, 2, 8, 8))
    maps.score[0, 0, 4, 4] = 0.5
    monkeypatch.setattr(model, 'find', lambda template, crops: decode(maps, model.hann))
    tracker, image = Tracker(model), np.zeros((200, 200, 3), np.uint8)
    tracker.init(image, np.array([40.0, 40, 16, 16]))
    assert tracker.update(image)[0] == pytest.approx([48 - 16, 48 - 16, 32, 32])


def test_box_stays_on_the_image(make_model, sequences):
    model = make_model(margin=6).eval()
    for track in track_sequences(model, sequences[:1]):
        boxes = track.boxes[1:]
        assert (boxes[:, 2:] >= 6).all()
        assert (boxes[:, :2] >= 0).all()
        assert (boxes[:, 0] + boxes[:, 2] <= 96 + 1e-9).all()
        assert (boxes[:, 1] + boxes[:, 3] <= 72 + 1e-9).all()


def test_broken_weights_are_not_tracked_with(make_model, sequences):
    model = make_model().eval()
    with torch.no_grad():
        model.head.offset[-1].bias.fill_(float('nan'))
    with pytest.raises(ValueError, match='predicts NaN'):
        track_sequences(model, sequences)


def test_unreadable_frame_stops(make_model, sequences):
    sequences[0].frame_path(4).write_bytes(b'no image')
    with pytest.raises(UserError, match=r'00000005\.jpg'):
        track_sequences(make_model().eval(), sequences)


def test_first_box_needs_area(make_model):
    with pytest.raises(UserError, match='no area'):
        Tracker(make_model().eval()).init(np.zeros((50, 50, 3), np.uint8), np.array([5, 5, 0, 9]))


def test_real_frames(make_model, shared):
    root = shared / 'data' / 'sot_small'
    sequence = read_sequences(root, 'testing_set.txt')[0]
    tracker = Tracker(make_model(published=True).eval())
    tracker.init(sequence.read_frame(0), sequence.boxes[0])
    for index in range(1, 4):
        box, score = tracker.update(sequence.read_frame(index))
        assert np.isfinite(box).all()
        assert 0 < score < 1
