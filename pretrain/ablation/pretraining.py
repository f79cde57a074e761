"""Train rows as a user would, through tools/train.py, each in a process of its own."""

import math
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mim_backbones.console.display import Stand, clock
from mim_backbones.console.processes import cores, ending, run_processes, start_process
from pretrain.ablation.row import Finished, Row, Settings
from pretrain.ablation.study import ROOT

PREFIX = 'train.py: error: '


@dataclass(frozen=True)
class Training:
    """A row that is to be trained."""

    row: Row
    settings: Settings

    def stand(self) -> Stand:
        """How far it is, from its log."""
        done, seconds = self.row.pace()
        steps = self.settings.steps
        left = clock(seconds * (steps - done))
        words = f'pre-train {done}/{steps}, {left} left' if done else 'starts'
        return Stand(self.row.name, done / steps, words)


@dataclass(frozen=True)
class Outcome:
    """How a training ended: with weights, or with one line that says why and names its log."""

    training: Training
    finished: Finished | None
    failure: str | None


def whole_epochs(steps: int, epochs: int) -> int:
    """Steps an epoch, so many that the recipe's epochs, in which its schedule counts, make `steps`
    or a few more."""
    return math.ceil(steps / epochs)


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
        command = training_command(training.row, training.settings)
        return start_process(command, training.row.log, threads)

    def note(training: Training, code: int, seconds: float) -> None:
        row, steps = training.row, training.settings.steps
        if code:
            outcomes.append(Outcome(training, None, _failure(row, code)))
        else:
            outcomes.append(Outcome(training, row.finish(steps, seconds), None))
        ended(outcomes[-1])

    run_processes(trainings, start, parallel, tick, note)
    return outcomes


def training_command(row: Row, settings: Settings) -> list[str]:
    """tools/train.py with the row's config, stretched or shortened to its steps."""
    cfg = row.resolved()
    per_epoch = whole_epochs(settings.steps, cfg.train_cfg.max_epochs)
    options = {
        'train_dataloader.dataset.root': settings.data,
        'train_dataloader.sampler.samples_per_epoch': per_epoch * cfg.train_dataloader.batch_size,
        'train_dataloader.sampler.seed': settings.seed,
        'randomness.seed': settings.seed,
    }
    given = [str(row.config), '--work-dir', str(row.work_dir), '--resume']
    pairs = [f'{key}={value}' for key, value in options.items()]
    train = str(ROOT / 'tools' / 'train.py')
    return [sys.executable, train, *given, '--cfg-options', *pairs]


def _failure(row: Row, code: int) -> str:
    """The log's last line, unless a signal left it no time to say why."""
    said = [line for line in row.log.read_text(errors='replace').splitlines() if line.strip()]
    why = said[-1].removeprefix(PREFIX) if said and code > 0 else ending(code)
    return f'{why} (log: {row.log})'
