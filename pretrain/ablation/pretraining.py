"""Train one row as a user would, through tools/train.py in a process of its own."""

import math
import os
import subprocess
import sys
import time
from collections.abc import Callable

from pretrain.ablation.row import Finished, Row, Settings
from pretrain.ablation.study import ROOT

POLL_SECONDS = 0.5


class RowFailed(Exception):
    """The process ended badly; the message is its last line and names its log."""


def whole_epochs(steps: int, epochs: int) -> int:
    """Steps an epoch, so many that the recipe's epochs, in which its schedule counts, make `steps`
    or a few more."""
    return math.ceil(steps / epochs)


def pretrain_row(row: Row, settings: Settings, tick: Callable[[int], None]) -> Finished:
    """Train to the end, from an earlier run's last checkpoint where there is one.

    Args:
        tick: called twice a second with the number of steps done.

    Raises:
        RowFailed: see there.
    """
    begun = time.monotonic()
    # Unbuffered: the last line of the log is then the last that was said.
    environment = {**os.environ, 'PYTHONUNBUFFERED': '1'}
    with row.log.open('wb') as log:
        process = subprocess.Popen(
            training_command(row, settings),
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env=environment,
        )
        try:
            while process.poll() is None:
                time.sleep(POLL_SECONDS)
                tick(row.steps_done())
        finally:
            process.kill()
            process.wait()
    if process.returncode:
        raise RowFailed(f'{_last_line(row)} (log: {row.log})')
    return row.finish(settings.steps, time.monotonic() - begun)


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


def _last_line(row: Row) -> str:
    text = row.log.read_text(errors='replace').splitlines()
    lines = [line for line in text if line.strip()]
    return lines[-1].removeprefix('train.py: error: ') if lines else 'no message'
