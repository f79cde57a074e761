"""Run jobs as processes, a few at a time; one that fails does not stop the others."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from downstream.evaluation.job import Job
from downstream.evaluation.worker import FAILURE, JOB_FILE, LOG, PROGRESS
from mim_backbones.console.processes import ending, run_processes, start_process


@dataclass(frozen=True)
class Outcome:
    """How a job ended. failure: one line, None when it went well."""

    job: Job
    seconds: float
    failure: str | None


def run_jobs(
    jobs: Sequence[Job],
    parallel: int,
    tick: Callable[[Sequence[Job]], None] = lambda running: None,
    ended: Callable[[Outcome], None] = lambda outcome: None,
) -> list[Outcome]:
    """All jobs, `parallel` at a time, in order.

    Args:
        tick: called a few times a second with what is running.
        ended: called with each outcome as it comes.
    """
    outcomes = []

    def note(job: Job, code: int, seconds: float) -> None:
        outcomes.append(Outcome(job, seconds, _failure(job, code) if code else None))
        ended(outcomes[-1])

    run_processes(jobs, _start, parallel, tick, note)
    return outcomes


def _start(job: Job) -> subprocess.Popen:
    folder = job.log_folder
    folder.mkdir(parents=True, exist_ok=True)
    for name in (PROGRESS, FAILURE):
        (folder / name).unlink(missing_ok=True)
    job.save(folder / JOB_FILE)
    command = [sys.executable, '-m', 'downstream.evaluation.worker', str(folder / JOB_FILE)]
    return start_process(command, folder / LOG, job.threads)


def _failure(job: Job, code: int) -> str:
    written = job.log_folder / FAILURE
    why = written.read_text().strip() if written.is_file() else ending(code)
    return f'{why} (log: {job.log_folder / LOG})'
