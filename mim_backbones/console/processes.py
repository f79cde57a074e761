"""Run things as processes, a few at a time; one that fails does not stop the others."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
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

    On Linux it ends with this process, however that ends.

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
            preexec_fn=partial(end_with_parent, os.getpid()),
        )


# <sys/prctl.h> of Linux; looked up here, since a process just forked must not import.
PR_SET_PDEATHSIG = 1
PRCTL = getattr(ctypes.CDLL(None), 'prctl', None) if sys.platform == 'linux' else None


def end_with_parent(parent: int) -> None:
    """Have this process killed when `parent`, which started it, is no more.

    Nothing a parent does at its end helps against SIGKILL, so the kernel is asked. What it then
    cuts short is a training, which goes on from its last checkpoint. Elsewhere than on Linux,
    nothing.
    """
    if PRCTL is None:
        return
    PRCTL(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the kernel was asked
        os.kill(os.getpid(), signal.SIGKILL)


def end_with_torchrun() -> None:
    """Have this process killed when the torchrun that started it is no more; alone, nothing.

    Torchrun ends its processes itself unless it is killed; they would then wait for each other.
    """
    if 'TORCHELASTIC_RUN_ID' not in os.environ or PRCTL is None:
        return
    parent = os.getppid()
    if parent == 1 and b'torch' not in Path('/proc/1/cmdline').read_bytes():
        parent = 0  # it is gone already; in a container it may be process 1 itself
    end_with_parent(parent)


class Terminated(KeyboardInterrupt):
    """Someone asked this process to end (SIGTERM): everything is left as at Ctrl-C."""


@contextmanager
def stops_in_one_line(what: str) -> Iterator[None]:
    """End at Ctrl-C or SIGTERM with one line and the exit code that shells know (130, 143).

    Args:
        what: stops, and what the user can do next.
    """

    def terminate(*_: object) -> None:
        raise Terminated

    before = signal.getsignal(signal.SIGTERM)
    with suppress(ValueError):  # only the main thread hears signals
        signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    except KeyboardInterrupt as stop:
        asked = isinstance(stop, Terminated)
        if os.environ.get('RANK', '0') == '0':
            print(f'{"terminated" if asked else "interrupted"}: {what}', file=sys.stderr)
        sys.exit(128 + (signal.SIGTERM if asked else signal.SIGINT))
    finally:
        with suppress(ValueError):
            signal.signal(signal.SIGTERM, before)


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
