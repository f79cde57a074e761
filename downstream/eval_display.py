"""What `mimbench eval` shows while jobs run, and the table at the end. All on stderr but JSON."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table

from downstream.job_pool import Outcome, Running
from downstream.jobs import Job
from downstream.progress import read_stand
from downstream.results import Result

QUIET_INTERVAL = 30.0  # seconds between lines where there is no terminal to draw bars on


class Display:
    """Bars on a terminal, now and then a line elsewhere. Use as a context manager."""

    def __init__(self, total: int) -> None:
        self.console = Console(stderr=True, highlight=False)
        self.total = total
        self.ended_jobs = 0
        self.bars: dict[Path, TaskID] = {}
        self.last_line = time.monotonic()
        self.progress = Progress(
            TextColumn('{task.description}'),
            BarColumn(bar_width=24),
            TextColumn('{task.fields[stand]}', style='dim'),
            console=self.console,
            disable=not self.console.is_terminal,
        )

    def __enter__(self) -> 'Display':
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def tick(self, running: Sequence[Running]) -> None:
        speak = not self.console.is_terminal and (
            time.monotonic() - self.last_line > QUIET_INTERVAL
        )
        for one in running:
            stand = read_stand(one.progress_file)
            text = 'starts' if stand is None else f'{stand.phase} {stand.done}/{stand.total}'
            if stand is not None and stand.seconds_left is not None:
                text += f', {clock(stand.seconds_left)} left'
            key = one.job.log_folder
            if key not in self.bars:
                self.bars[key] = self.progress.add_task(one.job.title, total=1, stand=text)
            share = 0.0 if stand is None else stand.done / stand.total
            self.progress.update(self.bars[key], completed=share, stand=text)
            if speak:
                self.console.print(f'  {one.job.title}: {text}', markup=False)
        if speak:
            self.last_line = time.monotonic()

    def ended(self, outcome: Outcome) -> None:
        self.ended_jobs += 1
        bar = self.bars.pop(outcome.job.log_folder, None)
        if bar is not None:
            self.progress.remove_task(bar)
        said = f'failed: {outcome.failure}' if outcome.failure else 'done'
        self.console.print(
            f'[{self.ended_jobs}/{self.total}] {outcome.job.title}: {said}'
            f' ({clock(outcome.seconds)})',
            markup=False,
            soft_wrap=True,
        )

    def say(self, text: str) -> None:
        self.console.print(text, markup=False, soft_wrap=True)


def result_table(rows: Sequence[tuple[Job, Result]]) -> Table:
    """One row per result: the task's main metric, what it cost."""
    table = Table(box=None, header_style='bold')
    for column in ('checkpoint', 'task', 'protocol', 'seed', 'metric'):
        table.add_column(column)
    for column in ('value', 'images/s', 'time'):
        table.add_column(column, justify='right')
    for job, result in rows:
        table.add_row(
            job.name,
            job.task,
            str(job.protocol),
            str(job.seed),
            result.primary,
            f'{result.metrics[result.primary]:.2f}',
            f'{result.cost.get("train_images_per_second", 0):.0f}',
            clock(result.cost.get('seconds', 0)),
        )
    return table


def as_record(path: Path, result: Result) -> dict[str, Any]:
    """What `--json` prints of a result."""
    return {
        'name': result.name,
        'task': result.task,
        'protocol': result.protocol.name,
        'seed': result.seed,
        'primary': result.primary,
        'metrics': result.metrics,
        'cost': result.cost,
        'result': str(path),
    }


def clock(seconds: float) -> str:
    """75 -> '1:15'."""
    minutes, rest = divmod(round(seconds), 60)
    return f'{minutes}:{rest:02d}'
