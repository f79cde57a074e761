"""Train rows as a user would, by `mimbench train`, each in a process of its own."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mim_backbones.console.display import Stand, clock
from mim_backbones.console.processes import cores, ending, run_processes, start_process
from pretrain.ablation.row import Finished, Row, Settings

TRAIN = (sys.executable, '-m', 'mim_backbones.console.cli', 'train')
PREFIX = 'mimbench: error: '


@dataclass(frozen=True)
class Training:
    """A row that is to be trained."""

    row: Row
    settings: Settings

    @property
    def name(self) -> str:
        return f'{self.row.name}, seed {self.settings.seed}'

    def stand(self) -> Stand:
        """How far it is, from its log."""
        done, seconds = self.row.pace()
        steps = self.settings.steps
        left = clock(seconds * (steps - done))
        words = f'pre-train {done}/{steps}, {left} left' if done else 'starts'
        return Stand(self.name, done / steps, words)


@dataclass(frozen=True)
class Outcome:
    """How a training ended: with weights, or with one line that says why and names its log."""

    training: Training
    finished: Finished | None
    failure: str | None


def pretrain_rows(
    trainings: Sequence[Training],
    parallel: int,
    tick: Callable[[Sequence[Training]], None] = lambda running: None,
    ended: Callable[[Outcome], None] = lambda outcome: None,
) -> list[Outcome]:
    """Train all to the end, `parallel` at a time, each from its last checkpoint where it has one.

    Args:
        tick: called a few times a second with what is running.
        ended: called with each outcome as it comes.
    """
    threads = max(1, cores() // parallel)
    outcomes = []

    def start(training: Training) -> subprocess.Popen:
        return start_process(training_command(training.row), training.row.log, threads)

    def note(training: Training, code: int, seconds: float) -> None:
        row, steps = training.row, training.settings.steps
        if code:
            outcomes.append(Outcome(training, None, _failure(row, code)))
        else:
            outcomes.append(Outcome(training, row.finish(steps, seconds), None))
        ended(outcomes[-1])

    run_processes(trainings, start, parallel, tick, note)
    return outcomes


def training_command(row: Row) -> list[str]:
    """`mimbench train` with the row's config, in an installation as in a checkout."""
    return [*TRAIN, str(row.config), '--work-dir', str(row.work_dir), '--resume']


def _failure(row: Row, code: int) -> str:
    """The log's last line, unless a signal left it no time to say why."""
    said = [line for line in row.log.read_text(errors='replace').splitlines() if line.strip()]
    why = said[-1].removeprefix(PREFIX) if said and code > 0 else ending(code)
    return f'{why} (log: {row.log})'
