"""Run jobs as processes, a few at a time; one that fails does not stop the others."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from downstream.evaluation.job import FAILURE, LOG, PROGRESS, Job
from downstream.evaluation.job_config import plain
from downstream.evaluation.plan import Planned, visible_gpus
from downstream.evaluation.progress import read_phase
from mim_backbones.console.display import PoolDisplay, Stand, clock
from mim_backbones.console.processes import ending, run_processes, start_process

WORKER = 'downstream.evaluation.worker'


class Ended(NamedTuple):
    """How a job ended. failure: one line, None when it went well."""

    job: Job
    seconds: float
    failure: str | None


def run_jobs(
    jobs: Sequence[Planned], parallel: int, display: PoolDisplay, worker: str = WORKER
) -> list[Ended]:
    """All jobs, `parallel` at a time, in order; each has GPUs of its own where there are enough.

    Args:
        worker: the module that is run with a job's file.
    """
    gpus = visible_gpus()
    free = list(range(parallel))
    places: dict[Path, int] = {}  # log folder -> which of the parallel ones it is
    outcomes = []

    def start(one: Planned) -> subprocess.Popen:
        job = one.job
        place = places[job.log_folder] = free.pop(0)
        first = place * job.processes
        own = [gpus[i % len(gpus)] for i in range(first, first + job.processes)] if gpus else []
        return start_job(one, tuple(dict.fromkeys(own)), worker)

    def ended(one: Planned, code: int, seconds: float) -> None:
        job = one.job
        free.append(places.pop(job.log_folder))
        outcomes.append(Ended(job, seconds, why_failed(job, code) if code else None))
        said = f'failed: {outcomes[-1].failure}' if code else 'done'
        display.ended(job.title, f'{said} ({clock(seconds)})')

    def tick(running: Sequence[Planned]) -> None:
        display.tick([stand_of(one.job) for one in running])

    run_processes(jobs, start, parallel, tick, ended)
    return outcomes


def start_job(planned: Planned, gpus: Sequence[str] = (), worker: str = WORKER) -> subprocess.Popen:
    """A job in a process of its own, or in several under torchrun."""
    job = planned.job
    command = [sys.executable, '-m']
    if job.processes > 1:
        command += ['torch.distributed.run', '--standalone', f'--nproc-per-node={job.processes}']
        command += ['-m']
    command += [worker, str(job.save(plain(planned.config)))]
    threads = max(1, job.threads // job.processes)
    return start_process(command, job.log_folder / LOG, threads, gpus)


def stand_of(job: Job) -> Stand:
    """How far a running job is, from its own progress file."""
    phase = read_phase(job.log_folder / PROGRESS)
    if phase is None:
        return Stand(job.title, 0.0, 'starts')
    words = f'{phase.name} {phase.done}/{phase.total}'
    if phase.seconds_left is not None:
        words += f', {clock(phase.seconds_left)} left'
    return Stand(job.title, phase.done / phase.total, words)


def why_failed(job: Job, code: int) -> str:
    """What the job wrote of its failure, or else how its process ended."""
    written = job.log_folder / FAILURE
    why = written.read_text().strip() if written.is_file() else ending(code)
    return f'{why} (log: {job.log_folder / LOG})'
