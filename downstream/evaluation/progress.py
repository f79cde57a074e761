"""How far a job is: a small JSON file that the job rewrites and whoever watches it reads."""

import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from mmengine.hooks import Hook
from mmengine.runner import Runner

from downstream.registry import HOOKS


@dataclass(frozen=True)
class Stand:
    """A phase ('train' or 'evaluate') and its steps done, of how many, after how many seconds."""

    phase: str
    done: int
    total: int
    seconds: float

    @property
    def seconds_left(self) -> float | None:
        """Time left in this phase at the pace so far."""
        return self.seconds / self.done * (self.total - self.done) if self.done else None


class Progress:
    """Writes `Stand`s to a file, at most twice a second."""

    def __init__(self, path: Path, interval: float = 0.5) -> None:
        self.path = path
        self.interval = interval
        self.phase = ''
        self.started = self.written = 0.0

    def update(self, phase: str, done: int, total: int) -> None:
        now = time.monotonic()
        if phase != self.phase:
            self.phase, self.started, self.written = phase, now, 0.0
        if now - self.written < self.interval and done < total:
            return
        self.written = now
        part = self.path.with_suffix('.part')
        part.write_text(json.dumps(asdict(Stand(phase, done, total, now - self.started))))
        os.replace(part, self.path)


def read_stand(path: Path) -> Stand | None:
    """The latest stand, None before the first."""
    try:
        return Stand(**json.loads(path.read_text()))
    except FileNotFoundError:
        return None


@HOOKS.register_module()
class ProgressFile(Hook):
    """Reports training and test iterations to a progress file.

    Args:
        path: the file.
    """

    def __init__(self, path: str) -> None:
        self.progress = Progress(Path(path))

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict, outputs: dict
    ) -> None:
        self.progress.update('train', runner.iter + 1, runner.max_iters)

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict, outputs: list
    ) -> None:
        self.progress.update('evaluate', batch_idx + 1, len(runner.test_dataloader))
