"""The whole of `mimbench eval` after its arguments: check, plan, run, show."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from downstream.evaluation.contestants import open_contestants
from downstream.evaluation.plan import (
    Planned,
    Request,
    finished_results,
    lanes,
    plan_jobs,
    result_key,
)
from downstream.evaluation.pool import run_jobs
from downstream.results.result import Result
from downstream.task import find_task, tasks
from mim_backbones.console.atomic_file import check_writable
from mim_backbones.console.display import PoolDisplay, clock
from mim_backbones.data_spec import load_data_spec

Row = tuple[Planned, Path, Result]


def evaluate_all(request: Request) -> tuple[list[Row], dict[str, str]]:
    """The results that are there in the end, and a line for each job that failed, by its title.

    Raises:
        UserError: something that was given cannot be used; nothing has been trained then.
    """
    tasks()  # refuses one that is not whole
    spec = load_data_spec(request.data)
    contestants = open_contestants(request.sources, request.arch, request.backbone)
    check_writable(request.out)
    planned = plan_jobs(request, contestants, spec)
    waiting = [one for one in planned if one.done is None]
    with PoolDisplay(len(waiting)) as display:
        notes = (f'{one.job.task}: {note}' for one in planned for note in one.job.card.notes)
        for line in dict.fromkeys(notes):
            display.say(line)
        for one in planned:
            if one.done is not None:
                display.say(f'{one.job.title}: already there ({one.done.name})')
        outcomes = run_jobs(waiting, request.jobs or lanes(request.processes), display)
    there = {result_key(result): (path, result) for path, result in finished_results(request.out)}
    rows = [(one, *there[one.job.key]) for one in planned if one.job.key in there]
    return rows, {one.job.title: one.failure for one in outcomes if one.failure}


def result_table(rows: Sequence[Row]) -> Table:
    """One row per result: the task's main metric, what it cost."""
    table = Table(box=None, header_style='bold')
    for column in ('checkpoint', 'task', 'protocol', 'seed', 'metric'):
        table.add_column(column)
    for column in ('value', 'images/s', 'time'):
        table.add_column(column, justify='right')
    for planned, _, result in rows:
        job = planned.job
        changed = ''.join(f'\n{key}={value}' for key, value in result.changes.items())
        table.add_row(
            job.name,
            job.task,
            f'{job.protocol}{changed}',
            str(job.seed),
            find_task(job.task).metrics.get(result.primary, result.primary),
            f'{result.metrics[result.primary]:.2f}',
            f'{result.cost.get("train_images_per_second", 0):.0f}',
            clock(result.cost.get('seconds', 0)),
        )
    return table


def _robustness(result: Result) -> dict[str, Any] | None:
    classes = len(result.data.get('classes') or ())
    return result.robustness.summary(result.metrics, classes) if result.robustness else None


def as_record(path: Path, result: Result) -> dict[str, Any]:
    """What `--json` prints of a result."""
    return {
        'name': result.name,
        'task': result.task,
        'protocol': result.protocol.name,
        'changes': result.changes,
        'seed': result.seed,
        'primary': result.primary,
        'metrics': result.metrics,
        'robustness': _robustness(result),
        'cost': result.cost,
        'result': str(path),
    }
