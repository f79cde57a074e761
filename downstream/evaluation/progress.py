"""How far a job is: a small JSON file that the job rewrites and whoever watches it reads."""

import json
import time
from pathlib import Path
from typing import NamedTuple

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mim_backbones.console.atomic_file import write_atomically


class Phase(NamedTuple):
    """'train' or 'evaluate', its steps done, of how many, and seconds left at this pace."""

    name: str
    done: int
    total: int
    seconds_left: float | None


class Progress:
    """Writes a `Phase` to a file, at most twice a second; without a file, nothing."""

    def __init__(self, path: Path | None, interval: float = 0.5) -> None:
        self.path = path
        self.interval = interval
        self.phase = ''
        self.begun = 0  # steps done before the phase started here
        self.started = self.written = 0.0

    def update(self, phase: str, done: int, total: int) -> None:
        if self.path is None:
            return
        now = time.monotonic()
        if phase != self.phase:
            self.phase, self.begun, self.started, self.written = phase, done - 1, now, 0.0
        if now - self.written < self.interval and done < total:
            return
        self.written = now
        pace = (now - self.started) / (done - self.begun) if done > self.begun else 0
        text = json.dumps(Phase(phase, done, total, pace * (total - done) or None))
        write_atomically(self.path, lambda stream: stream.write(text.encode()), durable=False)


def read_phase(path: Path) -> Phase | None:
    """The latest, None before the first."""
    try:
        return Phase(*json.loads(path.read_text()))
    except FileNotFoundError:
        return None


class ProgressFile(Hook):
    """Reports training and test iterations to a `Progress`.

    Attributes:
        first: iteration that training started from, not 0 when it was resumed.
    """

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.first = 0
        self.begin_round('evaluate', 0, 1)

    def begin_round(self, phase: str, done: int, rounds: int) -> None:
        """The test set is scored `rounds` times in a phase, of which `done` are behind."""
        self.phase, self.done, self.rounds = phase, done, rounds

    def before_train(self, runner: Runner) -> None:
        self.first = runner.iter

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict, outputs: dict
    ) -> None:
        self.progress.update('train', runner.iter + 1, runner.max_iters)

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict, outputs: list
    ) -> None:
        batches = len(runner.test_dataloader)
        done = self.done * batches + batch_idx + 1
        self.progress.update(self.phase, done, self.rounds * batches)
