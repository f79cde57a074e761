"""Run jobs as processes, a few at a time; one that fails does not stop the others."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from downstream.jobs import Job
from downstream.run_job import FAILURE, JOB_FILE, LOG, PROGRESS

POLL_SECONDS = 0.2
FAREWELL_SECONDS = 5.0


@dataclass(frozen=True)
class Outcome:
    """How a job ended. failure: one line, None when it went well."""

    job: Job
    seconds: float
    failure: str | None


@dataclass
class Running:
    """A job's process."""

    job: Job
    process: subprocess.Popen
    log: IO[bytes]
    started: float

    @property
    def progress_file(self) -> Path:
        return self.job.log_folder / PROGRESS


def run_jobs(
    jobs: Sequence[Job],
    parallel: int,
    tick: Callable[[Sequence[Running]], None] = lambda running: None,
    ended: Callable[[Outcome], None] = lambda outcome: None,
) -> list[Outcome]:
    """All jobs, `parallel` at a time, in order.

    Args:
        tick: called a few times a second with what is running.
        ended: called with each outcome as it comes.
    """
    waiting = list(jobs)
    running: list[Running] = []
    outcomes = []
    try:
        while waiting or running:
            while waiting and len(running) < parallel:
                running.append(_start(waiting.pop(0)))
            time.sleep(POLL_SECONDS)
            tick(running)
            for one in [one for one in running if one.process.poll() is not None]:
                running.remove(one)
                one.log.close()
                outcome = Outcome(one.job, time.monotonic() - one.started, _failure(one))
                outcomes.append(outcome)
                ended(outcome)
    finally:
        for one in running:
            _stop(one.process)
            one.log.close()
    return outcomes


def _start(job: Job) -> Running:
    folder = job.log_folder
    folder.mkdir(parents=True, exist_ok=True)
    for name in (PROGRESS, FAILURE):
        (folder / name).unlink(missing_ok=True)
    job.save(folder / JOB_FILE)
    log = (folder / LOG).open('wb')
    threads = str(job.threads)
    process = subprocess.Popen(
        [sys.executable, '-m', 'downstream.run_job', str(folder / JOB_FILE)],
        stdout=log,
        stderr=subprocess.STDOUT,
        env={**os.environ, 'OMP_NUM_THREADS': threads, 'MKL_NUM_THREADS': threads},
        start_new_session=True,  # Ctrl-C reaches this process alone, which then ends its jobs
    )
    return Running(job, process, log, time.monotonic())


def _failure(one: Running) -> str | None:
    code = one.process.returncode
    if code == 0:
        return None
    log = one.job.log_folder / LOG
    written = one.job.log_folder / FAILURE
    if written.is_file():
        return f'{written.read_text().strip()} (log: {log})'
    if code < 0:
        hint = ', out of memory perhaps' if -code == signal.SIGKILL else ''
        return f'ended by signal {signal.Signals(-code).name}{hint} (log: {log})'
    return f'ended with exit code {code} (log: {log})'


def _stop(process: subprocess.Popen) -> None:
    """Ask the process and its workers to end, then make them."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(FAREWELL_SECONDS)
            return
