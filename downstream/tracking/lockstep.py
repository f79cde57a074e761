"""Track many sequences side by side: one batch through the network per step, not one image.

Every sequence is tracked exactly as it would be alone. When one ends, the next takes its place, the
longest first, so that the batch stays full. The next frames are read while the network runs.
"""

from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from downstream.tracking.data import Sequence
from downstream.tracking.tracker import Tracker, update_together

if TYPE_CHECKING:  # the model's `predict` mode comes here
    from downstream.tracking.model import OneStreamTracker

READERS = 2


@dataclass(frozen=True, eq=False)
class Track:
    """What a tracker found: boxes (T, 4) float64 xywh and scores (T,); the first are given, 1."""

    name: str
    boxes: np.ndarray
    scores: np.ndarray


class _Run:
    """One sequence on its way."""

    def __init__(self, model: 'OneStreamTracker', sequence: Sequence, readers: Executor) -> None:
        self.sequence = sequence
        self.readers = readers
        self.asked = 0
        self.tracker = Tracker(model)
        self.boxes = [sequence.boxes[0]]
        self.scores = [1.0]
        self._ask()
        self.tracker.init(self.next_frame(), sequence.boxes[0])

    @property
    def finished(self) -> bool:
        return len(self.boxes) == len(self.sequence)

    def next_frame(self) -> np.ndarray:
        """The next frame, asked for while the network ran; asks for the one after it."""
        frame = self.frame.result()
        if self.asked < len(self.sequence):
            self._ask()
        return frame

    def _ask(self) -> None:
        self.frame = self.readers.submit(self.sequence.read_frame, self.asked)
        self.asked += 1

    def track(self) -> Track:
        return Track(self.sequence.name, np.stack(self.boxes), np.array(self.scores))


def track_sequences(
    model: 'OneStreamTracker',
    sequences: list[Sequence],
    batch_size: int = 16,
    progress: Callable[[int, int], None] | None = None,
) -> list[Track]:
    """A track for each sequence, in their order; the model must be in eval mode.

    progress: called with frames done and frames in total.
    Raises UserError for a frame that cannot be read.
    """
    total, done = sum(len(sequence) for sequence in sequences), 0
    waiting = sorted(range(len(sequences)), key=lambda index: len(sequences[index]))
    running: dict[int, _Run] = {}
    tracks: dict[int, Track] = {}
    with ThreadPoolExecutor(READERS) as readers:
        while waiting or running:
            while waiting and len(running) < batch_size:
                index = waiting.pop()
                running[index] = _Run(model, sequences[index], readers)
                done += 1
            active = [run for run in running.values() if not run.finished]
            if active:
                images = [run.next_frame() for run in active]
                found = update_together([run.tracker for run in active], images)
                for run, (box, score) in zip(active, found):
                    run.boxes.append(box)
                    run.scores.append(score)
            for index in [index for index, run in running.items() if run.finished]:
                tracks[index] = running.pop(index).track()
            done += len(active)
            if progress is not None:
                progress(done, total)
    return [tracks[index] for index in range(len(sequences))]
