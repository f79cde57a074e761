"""What `mimbench eval` says of its jobs while they run, and of their results at the end."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from downstream.evaluation.job import Job
from downstream.evaluation.pool import Outcome
from downstream.evaluation.progress import read_stand
from downstream.evaluation.worker import PROGRESS
from downstream.results.result import Result
from mim_backbones.console.display import Stand, clock


def stand_of(job: Job) -> Stand:
    """How far a running job is, from its own progress file."""
    found = read_stand(job.log_folder / PROGRESS)
    if found is None:
        return Stand(job.title, 0.0, 'starts')
    words = f'{found.phase} {found.done}/{found.total}'
    if found.seconds_left is not None:
        words += f', {clock(found.seconds_left)} left'
    return Stand(job.title, found.done / found.total, words)


def ending_of(outcome: Outcome) -> str:
    """How a job ended, in words."""
    said = f'failed: {outcome.failure}' if outcome.failure else 'done'
    return f'{said} ({clock(outcome.seconds)})'


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
