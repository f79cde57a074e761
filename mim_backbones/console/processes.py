"""Run things as processes, a few at a time; one that fails does not stop the others."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

POLL_SECONDS = 0.2
FAREWELL_SECONDS = 5.0

T = TypeVar('T')


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1


def default_parallel() -> int:
    """Two processes share a CPU better than one fills it; a GPU is left to one."""
    import torch

    return 1 if torch.cuda.is_available() else min(2, cores())


def start_process(
    command: Sequence[str], log: Path, threads: int, gpus: Sequence[str] = ()
) -> subprocess.Popen:
    """Start a command in a process group of its own; all it says goes to `log`.

    Args:
        threads: of each process.
        gpus: those it may use, by number or name; none given, all.
    """
    own = {
        'OMP_NUM_THREADS': str(threads),
        'MKL_NUM_THREADS': str(threads),
        'PYTHONUNBUFFERED': '1',  # the last line of the log is the last that was said
    }
    if gpus:
        own['CUDA_VISIBLE_DEVICES'] = ','.join(gpus)
    with log.open('wb') as stream:
        return subprocess.Popen(
            command,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env={**os.environ, **own},
            start_new_session=True,  # Ctrl-C reaches the caller alone, which then ends the others
        )


def run_processes(
    things: Sequence[T],
    start: Callable[[T], subprocess.Popen],
    parallel: int,
    tick: Callable[[Sequence[T]], None],
    ended: Callable[[T, int, float], None],
) -> None:
    """Start all things, in order, `parallel` at a time, and wait for them.

    Args:
        start: the process of a thing, from `start_process`.
        tick: called a few times a second with what is running.
        ended: called with a thing, its exit code (minus the signal's number where one ended it) and
            its seconds, as each comes to its end.
    """
    waiting = list(things)
    running: list[tuple[T, subprocess.Popen, float]] = []
    try:
        while waiting or running:
            while waiting and len(running) < parallel:
                thing = waiting.pop(0)
                running.append((thing, start(thing), time.monotonic()))
            time.sleep(POLL_SECONDS)
            tick([thing for thing, _, _ in running])
            for one in [one for one in running if one[1].poll() is not None]:
                running.remove(one)
                thing, process, started = one
                ended(thing, process.returncode, time.monotonic() - started)
    finally:
        for _, process, _ in running:
            _stop(process)


def ending(code: int) -> str:
    """An exit code that is not 0, in words."""
    if code > 0:
        return f'ended with exit code {code}'
    hint = ', out of memory perhaps' if -code == signal.SIGKILL else ''
    return f'ended by signal {signal.Signals(-code).name}{hint}'


def _stop(process: subprocess.Popen) -> None:
    """Ask the process and its workers to end, then make them."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(FAREWELL_SECONDS)
            return
