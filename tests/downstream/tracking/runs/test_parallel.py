"""Processes over a set: the same tracks for any number of them, killed or not."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from downstream.registry import MODELS
from downstream.tracking.data import TrackingData, read_sequences
from downstream.tracking.formats.layouts import read_tracks
from downstream.tracking.runs.parallel import TrackRun, groups_of, shares, track_all
from downstream.tracking.scoring.predictions import score_tracks
from mim_backbones.console.processes import PRCTL
from mim_backbones.errors import UserError
from tests.downstream.tracking.conftest import SMALL


@pytest.fixture
def weights(tmp_path):
    """Of a tracker that training left, and its config."""
    torch.save({'state_dict': MODELS.build(SMALL).state_dict()}, tmp_path / 'iter_1.pth')
    (tmp_path / 'config.py').write_text(f'model = {SMALL!r}\n')
    return tmp_path / 'iter_1.pth'


@pytest.fixture
def make_run(tmp_path, weights, make_lasot):
    root = make_lasot(train=1, test=6, frames=50)
    (root / 'data.yaml').write_text(f'tracking: {{root: {root}}}\n')

    def make(out, **more):
        options = {'config': str(weights.with_name('config.py')), 'root': str(root), **more}
        return TrackRun(
            str(weights), test_list='testing_set.txt', out=str(tmp_path / out), **options
        )

    return make


def results(run):
    """Text of every file of boxes and scores."""
    names = [one.name for one in read_sequences(run.root, run.test_list)]
    kinds = ('', '_object_presence_scores')
    files = [f'{name}{kind}.txt' for name in names for kind in kinds]
    return {file: (Path(run.out) / file).read_text() for file in files}


class Video:
    def __init__(self, frames):
        self.frames = frames

    def __len__(self):
        return self.frames


@settings(deadline=None)
@given(
    lengths=st.lists(st.integers(1, 50), min_size=1, max_size=12),
    size=st.integers(1, 4),
    processes=st.integers(1, 5),
)
def test_every_video_is_in_one_share_and_shares_are_even(lengths, size, processes):
    videos = [Video(frames) for frames in lengths]
    groups = groups_of(videos, size)
    assert max(map(len, groups)) <= size
    given_out = shares(groups, processes)
    found = [video for share in given_out for group in share for video in group]
    assert sorted(map(id, found)) == sorted(map(id, videos))
    frames = [sum(len(v) for group in share for v in group) for share in given_out]
    heaviest = max(sum(map(len, group)) for group in groups)
    assert min(frames) > 0 and max(frames) - min(frames) <= heaviest


@pytest.mark.slow
def test_killed_it_goes_on_and_gives_the_same_tracks(make_run):
    """A real SIGKILL in the middle of two processes; none outlives it, none starts anew."""
    whole, killed = make_run('whole'), make_run('killed')
    data = TrackingData(read_sequences(whole.root, whole.test_list)[0].folder.parents[1])
    videos = track_all(whole, data, 1)
    folder = Path(killed.out)

    def there():
        return {video.name for video in videos if (folder / f'{video.name}.txt').is_file()}

    def moments():
        return {name: (folder / f'{name}.txt').stat().st_mtime_ns for name in before}

    words = ['--weights', killed.weights, '--config', killed.config, '--data', killed.root]
    command = [sys.executable, '-m', 'mim_backbones.console.cli', 'track-set', *words]
    process = subprocess.Popen([*command, '--out', killed.out, '--jobs', '2'])
    while len(there()) < 2 and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    time.sleep(0.3)
    before = there()
    assert len(before) >= 2
    if PRCTL is not None:
        assert len(before) < len(videos)
    finished = moments()
    track_all(killed, data, 2)
    assert moments() == finished
    assert results(killed) == results(whole)
    scores = [score_tracks(data, Path(run.out), 'ostrack') for run in (whole, killed)]
    assert scores[0].metrics == scores[1].metrics
    assert not (folder / 'processes').exists()


def test_one_broken_sequence_does_not_stop_the_others(make_run):
    run = make_run('out')
    videos = read_sequences(run.root, run.test_list)
    data = TrackingData(videos[0].folder.parents[1])
    videos[1].frame_path(30).write_bytes(b'no image')
    with pytest.raises(
        UserError, match=r'tile-2: .*00000031\.jpg.*1 of 6 sequences are not'
    ) as said:
        track_all(run, data, 1)
    assert '\n' not in str(said.value)
    found = read_tracks(Path(run.out), [v.name for v in videos if v is not videos[1]])
    assert len(found) == 5


def test_other_options_are_another_run(make_run):
    run = make_run('out')
    data = TrackingData(read_sequences(run.root, run.test_list)[0].folder.parents[1])
    mine = run.identity(data)
    different = {
        'config': make_run('out', options={'model.size_inertia': 0.5}),
        'threads': make_run('out', threads=2),
        'side_by_side': make_run('out', side_by_side=2),
    }
    for key, other in different.items():
        changed = {name for name, value in other.identity(data).items() if value != mine[name]}
        assert changed == {key}
    assert make_run('elsewhere').identity(data) == mine
