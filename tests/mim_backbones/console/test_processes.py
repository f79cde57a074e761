"""Processes a few at a time: order, endings, and that none is left behind."""

import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mim_backbones.console.processes import ending, run_processes, start_process

WAIT = 'import time; time.sleep(60)'


@pytest.fixture
def start(tmp_path) -> Callable:
    """Starts Python code; its log is named by its process."""

    def python(code: str):
        return start_process([sys.executable, '-c', code], tmp_path / 'log', threads=3)

    return python


def endings(codes: list[str], start: Callable, parallel: int) -> tuple[dict[str, int], int]:
    """Exit code of each, and the most that ran at a time."""
    ended: dict[str, int] = {}
    most = [0]
    run_processes(
        codes,
        start,
        parallel,
        tick=lambda running: most.append(len(running)),
        ended=lambda code, status, seconds: ended.update({code: status}),
    )
    return ended, max(most)


def test_one_that_fails_does_not_stop_the_others(start) -> None:
    codes = ['pass', 'raise SystemExit(3)', 'import os; os.kill(os.getpid(), 9)', 'print()']
    ended, most = endings(codes, start, parallel=2)
    assert [ended[code] for code in codes] == [0, 3, -9, 0]
    assert most == 2


def test_no_more_at_a_time_than_asked_and_in_order(start, tmp_path) -> None:
    file = tmp_path / 'order'
    codes = [f'open({str(file)!r}, "a").write("{i} begins {i} ends ")' for i in range(3)]
    _, most = endings(codes, start, parallel=1)
    assert most == 1
    assert file.read_text() == ''.join(f'{i} begins {i} ends ' for i in range(3))


def test_what_it_says_is_logged_and_its_threads_are_limited(start, tmp_path) -> None:
    code = 'import os, sys; print(os.environ["OMP_NUM_THREADS"]); sys.exit("bad")'
    assert start(code).wait() == 1
    assert (tmp_path / 'log').read_text() == '3\nbad\n'


def test_all_end_with_whoever_waits_for_them(start, tmp_path) -> None:
    pids = tmp_path / 'pids'
    # A process with a child, as a trainer with its loaders.
    code = (
        f'import os, subprocess, sys; child = subprocess.Popen([sys.executable, "-c", {WAIT!r}]); '
        f'open({str(pids)!r}, "w").write(f"{{os.getpid()}} {{child.pid}}"); child.wait()'
    )

    def interrupt(_) -> None:
        if pids.is_file() and pids.read_text():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_processes([code], start, 1, tick=interrupt, ended=lambda *_: None)
    deadline = time.monotonic() + 5
    for pid in map(int, pids.read_text().split()):
        while alive(pid):
            assert time.monotonic() < deadline, f'process {pid} is left behind'
            time.sleep(0.05)


def alive(pid: int) -> bool:
    """Whether Linux still runs it; an orphan that nobody reaps is dead."""
    try:
        stat = Path(f'/proc/{pid}/stat').read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(')')[2].split()[0] != 'Z'


def test_endings_in_words() -> None:
    assert ending(3) == 'ended with exit code 3'
    assert ending(-signal.SIGKILL) == 'ended by signal SIGKILL, out of memory perhaps'
    assert ending(-signal.SIGTERM) == 'ended by signal SIGTERM'
