"""Tracks kept in a folder: a second try goes on, another run is refused."""

import json

import numpy as np
import pytest

from downstream.evaluation.protocols import recipes
from downstream.tracking.data import read_sequences
from downstream.tracking.runs.kept import KeptTracks
from downstream.tracking.task import TASK
from downstream.tracking.tracker import Track, track_sequences
from mim_backbones.errors import UserError
from mim_backbones.training.config import read_config
from mim_backbones.training.launch import build_runner

MINE = {'weights': 'abc', 'config': 'def'}


@pytest.fixture
def videos(lasot_root):
    return read_sequences(lasot_root, 'testing_set.txt')


def invented(video):
    rng = np.random.default_rng(len(video.name))
    frames = len(video)
    return Track(video.name, rng.random((frames, 4)) + 1, rng.random(frames), np.full(frames, 0.25))


def test_what_was_kept_is_read(tmp_path, videos):
    kept = KeptTracks(tmp_path / 'tracks')
    kept.begin(MINE)
    track = invented(videos[0])
    assert not kept.has(videos[0])
    kept.keep(track)
    assert kept.has(videos[0]) and not kept.has(videos[1])
    found = kept.read(videos[0])
    np.testing.assert_allclose(found.boxes, track.boxes, atol=5.1e-4)
    np.testing.assert_allclose(found.scores, track.scores, atol=5.1e-7)
    assert found.seconds.tolist() == track.seconds.tolist()


def test_boxes_are_written_last(tmp_path, videos, monkeypatch):
    """A sequence counts as finished by its boxes, so that no kill may leave them alone."""
    written = []
    monkeypatch.setattr(
        'downstream.tracking.formats.layouts.write_bytes_atomically',
        lambda path, content: written.append(path.name),
    )
    KeptTracks(tmp_path).keep(invented(videos[0]))
    name = videos[0].name
    assert len(written) == 3 and written[-1] == f'{name}.txt'


def test_side_by_side_is_done_whole_or_not_at_all(tmp_path, videos):
    kept, asked = KeptTracks(tmp_path), []

    def follow():
        asked.append(True)
        return list(map(invented, videos))

    kept.keep(invented(videos[0]))
    first = kept.completed(videos, follow)
    second = kept.completed(videos, follow)
    assert asked == [True]
    for one, other in zip(first, second, strict=True):
        assert one.boxes.tolist() == other.boxes.tolist()
        assert one.scores.tolist() == other.scores.tolist()


@pytest.mark.parametrize('key', MINE)
def test_tracks_of_another_run_are_not_mixed_with(tmp_path, videos, key):
    kept = KeptTracks(tmp_path)
    kept.begin(MINE)
    kept.keep(invented(videos[0]))
    kept.begin(MINE)  # the same again goes on
    other = {**MINE, key: 'other'}
    with pytest.raises(UserError, match=rf'tracks of another run \({key}\); give another'):
        kept.begin(other)
    assert kept.has(videos[0])
    kept.begin(other, replace=True)
    assert not kept.has(videos[0])
    assert json.loads((tmp_path / 'run.json').read_text()) == other


def test_files_of_nobody_knows_whom_are_left_alone(tmp_path):
    (tmp_path / 'notes.txt').write_text('mine')
    with pytest.raises(UserError, match=r'no run\.json says of what'):
        KeptTracks(tmp_path).begin(MINE)
    assert (tmp_path / 'notes.txt').read_text() == 'mine'


@pytest.mark.parametrize('spoil', ['short', 'no scores', 'no times'])
def test_files_that_are_not_of_the_video_are_said(tmp_path, videos, spoil):
    kept, name = KeptTracks(tmp_path), videos[0].name
    kept.keep(invented(videos[0]))
    boxes = tmp_path / f'{name}.txt'
    if spoil == 'short':
        boxes.write_text('1,2,3,4\n')
        for what in ('time', 'object_presence_scores'):
            (tmp_path / f'{name}_{what}.txt').write_text('1\n')
    else:
        what = 'time' if spoil == 'no times' else 'object_presence_scores'
        (tmp_path / f'{name}_{what}.txt').unlink()
    with pytest.raises(UserError, match=rf'{name}\.txt: not the boxes, times and scores of 12'):
        kept.read(videos[0])


def test_a_job_that_died_while_it_tracked_goes_on(lasot_root, tmp_path, monkeypatch):
    """The recipe's own test loop: killed after two of three sequences, then started again."""
    (recipe,) = [
        one.path for one in recipes().values() if one.protocol.name == 'one-stream-vit-smoke'
    ]

    def job(work_dir):
        options = {
            'train_dataloader.dataset.sets.0.root': str(lasot_root),
            'test_dataloader.dataset.root': str(lasot_root),
            'test_dataloader.batch_size': 1,
            'train_dataloader.batch_size': 4,
            'train_cfg.max_iters': 1,
            'work_dir': str(work_dir),
        }
        runner = build_runner(read_config(recipe, options))
        runner.train()
        return runner

    tracked = []

    def follow(model, sequences, dies_after=99):
        if len(tracked) >= dies_after:
            raise KeyboardInterrupt
        tracked.extend(sequences)
        return track_sequences(model, sequences)

    place = 'downstream.tracking.centre_tracker.track_sequences'
    whole = TASK.run(job(tmp_path / 'whole'), None)
    monkeypatch.setattr(place, lambda *given: follow(*given, dies_after=2))
    with pytest.raises(KeyboardInterrupt):
        TASK.run(job(tmp_path / 'killed'), None)
    monkeypatch.setattr(place, follow)
    found = TASK.run(job(tmp_path / 'killed'), None)
    assert len(tracked) == 3
    assert found.metrics == whole.metrics
    assert found.tables == whole.tables
