"""A tracker over every test sequence, in several processes, each with its share of the sequences.

Sequences that are tracked side by side are a group; the longest groups are given out first, each to
the process that has least to do. A process tracks its groups one after the other into the folder of
kept.py, so that a run that was stopped starts none of them twice.

The same tracks come out whatever the number of processes: groups are the same, and so are the
threads of each, on which the last bit of a product depends.
"""

import json
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from subprocess import Popen
from typing import TYPE_CHECKING, Any

from downstream.evaluation.fingerprint import file_digest
from downstream.evaluation.job_config import digest
from downstream.tracking.data import Sequence as Video
from downstream.tracking.data import TrackingData, describe, read_sequences
from downstream.tracking.runs.kept import KeptTracks
from mim_backbones.console.display import PoolDisplay, Stand, clock
from mim_backbones.console.processes import ending, run_processes, start_process
from mim_backbones.errors import UserError
from mim_backbones.training.config import read_config

if TYPE_CHECKING:
    from downstream.tracking.centre_tracker import CentreTracker

WORKER = 'downstream.tracking.runs.worker'
WORK = 'processes'  # folder of what each is told and says; gone when all went well


@dataclass(frozen=True)
class TrackRun:
    """A tracker and the sequences it is to follow, as plain values.

    weights, config, options, published: see `load.load_tracker`. root, test_list: of the data.
    out: folder of the tracks. side_by_side: sequences in a batch. threads: of each process.
    """

    weights: str
    config: str | None
    root: str
    test_list: str
    out: str
    options: dict[str, Any] = field(default_factory=dict)
    published: bool = False
    device: str = 'cpu'
    side_by_side: int = 1
    threads: int = 1

    def tracker(self) -> 'CentreTracker':
        from downstream.tracking.load import load_tracker

        tracker = load_tracker(self.weights, self.config, self.options, self.published)
        return tracker.to(self.device)

    def identity(self, data: TrackingData) -> dict[str, str | int]:
        """What its tracks depend on. Raises UserError for a file that is not there."""
        if not Path(self.weights).is_file():
            raise UserError(f'{self.weights}: no such file; give the weights of a tracker')
        model = self.config and read_config(self.config, self.options).model.to_dict()
        return {
            'weights': file_digest(self.weights),
            'config': digest([model, self.published]),
            'data': describe(data).fingerprint,
            'device': self.device.split(':')[0],
            'side_by_side': self.side_by_side,
            'threads': self.threads,
        }


def track_all(run: TrackRun, data: TrackingData, processes: int) -> list[Video]:
    """Track what is not tracked yet; the videos whose tracks are in the folder then: all of them.

    Raises:
        UserError: the tracker or the data cannot be used, or the folder holds other tracks; some
            sequences could not be tracked, though all others were.
    """
    kept = KeptTracks(Path(run.out))
    kept.begin(run.identity(data))
    videos = read_sequences(data.root, data.test_list)
    waiting = [
        group for group in groups_of(videos, run.side_by_side) if not all(map(kept.has, group))
    ]
    if not waiting:
        return videos
    folder = kept.folder / WORK
    folder.mkdir(exist_ok=True)
    for left in folder.iterdir():
        left.unlink()
    failures: list[str] = []
    asked = [video for group in waiting for video in group]
    progress = _Progress(kept, asked, len(videos) - len(asked))

    def start(number: int) -> Popen:
        names = [[video.name for video in group] for group in given[number]]
        told = folder / f'{number}.json'
        told.write_text(json.dumps({'run': asdict(run), 'groups': names}))
        command = [sys.executable, '-m', WORKER, str(told)]
        return start_process(command, folder / f'{number}.log', run.threads)

    def ended(number: int, code: int, _: float) -> None:
        if code:
            said = folder / f'{number}.failures'
            lines = said.read_text().splitlines() if said.is_file() else []
            failures.extend(lines or [f'{ending(code)} (log: {folder / f"{number}.log"})'])

    given = shares(waiting, processes)
    with PoolDisplay(1) as display:
        run_processes(
            range(len(given)), start, len(given), lambda _: display.tick([progress.stand()]), ended
        )
    if failures:
        undone = sum(not kept.has(video) for video in videos)
        raise UserError(
            f'{failures[0]} ({undone} of {len(videos)} sequences are not tracked; the same command '
            'tracks them alone)'
        )
    shutil.rmtree(folder)
    return videos


def groups_of(videos: Sequence[Video], size: int) -> list[list[Video]]:
    """`size` at a time, the longest first, so that those of a group end at about one time."""
    ordered = sorted(videos, key=len, reverse=True)
    return [ordered[start : start + size] for start in range(0, len(ordered), size)]


def shares(groups: Sequence[list[Video]], processes: int) -> list[list[list[Video]]]:
    """For each process its groups; none is without."""
    given: list[list[list[Video]]] = [[] for _ in range(min(processes, len(groups)))]
    frames = [0] * len(given)
    for group in groups:
        least = frames.index(min(frames))
        given[least].append(group)
        frames[least] += sum(map(len, group))
    return given


class _Progress:
    """How far the processes are, from the files that are there."""

    def __init__(self, kept: KeptTracks, asked: Sequence[Video], before: int) -> None:
        self.kept, self.waiting, self.before = kept, list(asked), before
        self.all, self.total = len(asked) + before, sum(map(len, asked))
        self.done = 0
        self.started = time.monotonic()

    def stand(self) -> Stand:
        for video in [one for one in self.waiting if self.kept.has(one)]:
            self.waiting.remove(video)
            self.done += len(video)
        words = f'{self.all - len(self.waiting)}/{self.all} sequences'
        if self.before:
            words += f' ({self.before} from before)'
        if self.done:
            seconds = (time.monotonic() - self.started) * (self.total - self.done) / self.done
            words += f', {clock(seconds)} left'
        return Stand('tracking', self.done / self.total, words)
