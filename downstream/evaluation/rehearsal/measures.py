"""What a rehearsed job finds out about itself, in a small JSON file beside its checkpoint."""

import json
import multiprocessing
import os
import resource
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import all_reduce
from mmengine.hooks import Hook
from mmengine.runner import Runner

FILE = 'measures.json'
STEPS = 2  # before the checkpoint
IMAGES = 2  # that are scored


@dataclass(frozen=True)
class Measures:
    """Of one job.

    Attributes:
        start_seconds: from the start of the process to the first step.
        step_seconds: of a warm step as it was rehearsed.
        step_images: of that step, over all processes.
        steps: of the whole training, as the job will run it.
        image_seconds: of a scored image, in each process.
        host_bytes: at most, over all processes and their loader workers.
        gpu_bytes: at most on one GPU; None without.
        checkpoint_bytes: of the file that the job resumed from.
    """

    start_seconds: float = 0.0
    step_seconds: float = 0.0
    step_images: int = 0
    steps: int = 0
    image_seconds: float = 0.0
    host_bytes: int = 0
    gpu_bytes: int | None = None
    checkpoint_bytes: int = 0

    @classmethod
    def load(cls, folder: Path) -> 'Measures':
        path = folder / FILE
        return cls(**json.loads(path.read_text())) if path.is_file() else cls()

    def save(self, folder: Path) -> None:
        (folder / FILE).write_text(json.dumps(asdict(self)))


class Stopwatch(Hook):
    """Times steps and scored images, and ends the training after its few steps.

    Attributes:
        steps, images: (moment at its end, images in it) of each, the beginning first.
    """

    priority = 'VERY_HIGH'  # before a checkpoint is written

    def __init__(self) -> None:
        self.begun = 0.0
        self.first = 0
        self.moments: list[float] = []
        self.images: list[tuple[float, int]] = []

    def before_train(self, runner: Runner) -> None:
        self.first = runner.iter
        self.begun = now()

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        self.moments.append(now())
        if len(self.moments) >= (1 if self.first else STEPS):
            runner.train_loop.stop_training = True

    def before_test_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        self.images.append((now(), 0))

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        moment, _ = self.images[-1]
        self.images[-1] = (now() - moment, len(outputs))

    @property
    def step_seconds(self) -> float:
        """Of the last step: the first fills caches and starts workers."""
        return self.moments[-1] - (self.moments[-2] if len(self.moments) > 1 else self.begun)

    @property
    def image_seconds(self) -> float:
        seconds, count = self.images[-1]
        return seconds / max(1, count)


def now() -> float:
    """Seconds, once the device has done what it was told."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.monotonic()


def host_bytes() -> int:
    """Peak of this process, and what its loader workers hold now of their own; of all processes."""
    scale = 1 if os.uname().sysname == 'Darwin' else 1024
    total = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale
    for worker in multiprocessing.active_children():
        total += private_bytes(worker.pid)
    return int(over_processes(total, 'sum'))


def private_bytes(process: int | None) -> int:
    """What a process shares with no other, where the system tells (Linux)."""
    try:
        lines = Path(f'/proc/{process}/smaps_rollup').read_text().splitlines()
    except OSError:
        return 0
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith('Private_'))


def gpu_bytes() -> int | None:
    if not torch.cuda.is_available():
        return None
    return int(over_processes(torch.cuda.max_memory_allocated(), 'max'))


def over_processes(value: int, how: str) -> float:
    found = torch.tensor(float(value), dtype=torch.float64)
    all_reduce(found, how)
    return found.item()
