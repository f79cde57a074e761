"""The whole of `mimbench eval` after its arguments: check, plan, run, show."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from downstream.evaluation.contestants import open_contestants
from downstream.evaluation.display import as_record, ending_of, result_table, stand_of
from downstream.evaluation.job import Job
from downstream.evaluation.plan import finished_results, plan_jobs
from downstream.evaluation.pool import run_jobs
from downstream.results.result import Result
from mim_backbones.console.atomic_file import check_writable
from mim_backbones.console.display import PoolDisplay
from mim_backbones.data_spec import load_data_spec


def evaluate_all(
    sources: Sequence[str],
    tasks: Sequence[str],
    tier: str,
    seeds: Sequence[int],
    data: Path,
    out: Path,
    parallel: int,
    cores: int,
    arch: str | None,
    options: dict[str, Any],
) -> tuple[bool, list[dict[str, Any]]]:
    """Whether every job went well, and a record of each result and failure.

    Raises:
        UserError: something that was given cannot be used; nothing has been trained then.
    """
    spec = load_data_spec(data)
    contestants = open_contestants(sources, arch)
    check_writable(out)
    threads = max(1, cores // parallel)
    planned = plan_jobs(contestants, tasks, tier, seeds, spec, out, threads, options)
    waiting = [one.job for one in planned if one.done is None]
    with PoolDisplay(len(waiting)) as display:
        for one in planned:
            if one.done is not None:
                display.say(f'{one.job.title}: already there ({one.done.name})')
        outcomes = run_jobs(
            waiting,
            parallel,
            tick=lambda running: display.tick([stand_of(job) for job in running]),
            ended=lambda outcome: display.ended(outcome.job.title, ending_of(outcome)),
        )
        failures = {outcome.job.title: outcome.failure for outcome in outcomes if outcome.failure}
        rows = _rows([one.job for one in planned if one.job.title not in failures], out)
        if rows:
            display.console.print(result_table([(job, result) for job, _, result in rows]))
    records = [as_record(path, result) for _, path, result in rows]
    records += [{'job': title, 'failure': line} for title, line in failures.items()]
    return not failures, records


def _rows(jobs: Sequence[Job], out: Path) -> list[tuple[Job, Path, Result]]:
    """The jobs with their results, in the jobs' order."""
    found = {
        (result.name, result.protocol, result.seed): (path, result)
        for path, result in finished_results(out).items()
    }
    keys = [(job.name, job.protocol, job.seed) for job in jobs]
    return [(job, *found[key]) for job, key in zip(jobs, keys) if key in found]
