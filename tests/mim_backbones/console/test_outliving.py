"""Nothing outlives who it works for: jobs, what they start, torchrun's processes, data workers."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.skipif(sys.platform != 'linux', reason='the kernel of Linux is asked')
# Starts two jobs as `mimbench eval` does; each writes its id and sleeps.
CALLER = """
import sys, time
from pathlib import Path
from mim_backbones.console.processes import run_processes, start_process
code = 'import os, time; print(os.getpid(), flush=True); time.sleep(300)'
folder = Path(sys.argv[1])
run_processes(
    ['a', 'b'], lambda name: start_process([sys.executable, '-c', code], folder / name, 1), 2,
    tick=lambda running: None, ended=lambda *_: None,
)
"""
# What torchrun starts: says it is there, then waits like a process of a group that lost the others.
RANK = """
import os, sys, time
from pathlib import Path
from mim_backbones.console.processes import end_with_torchrun
end_with_torchrun()
Path(sys.argv[1], os.environ['RANK']).write_text(str(os.getpid()))
time.sleep(300)
"""


def alive(pid: int) -> bool:
    """Whether it still runs; a dead one that nobody has asked for is not alive."""
    try:
        stat = Path(f'/proc/{pid}/stat').read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(')')[2].split()[0] not in 'ZX'


def wait(condition, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, 'waited in vain'
        time.sleep(0.02)


def written(folder: Path, names: str) -> list[int]:
    """The ids in two files, once they are there."""
    wait(lambda: all((folder / n).exists() and (folder / n).read_text().strip() for n in names))
    return [int((folder / name).read_text()) for name in names]


def start(*words: object) -> subprocess.Popen:
    environment = {**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'}
    return subprocess.Popen(
        [sys.executable, *map(str, words)], env=environment, stderr=subprocess.DEVNULL
    )


@pytest.mark.parametrize('number', [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_jobs_end_with_the_command_that_started_them(tmp_path, number) -> None:
    caller = start('-c', CALLER, tmp_path)
    jobs = written(tmp_path, 'ab')
    assert all(map(alive, jobs))
    caller.send_signal(number)
    caller.wait()
    wait(lambda: not any(map(alive, jobs)), seconds=10)


def test_processes_end_with_a_killed_torchrun(tmp_path) -> None:
    (tmp_path / 'rank.py').write_text(RANK)
    launcher = start(
        '-m', 'torch.distributed.run', '--standalone', '--nproc-per-node=2',
        tmp_path / 'rank.py', tmp_path,
    )  # fmt: skip
    ranks = written(tmp_path, '01')
    launcher.kill()
    launcher.wait()
    wait(lambda: not any(map(alive, ranks)), seconds=10)


def test_a_process_alone_lives_on_without_its_parent(tmp_path) -> None:
    """`nohup tools/train.py &` and then leaving the shell."""
    (tmp_path / 'rank.py').write_text(RANK)
    shell = subprocess.Popen(
        ['sh', '-c', f'RANK=0 {sys.executable} {tmp_path}/rank.py {tmp_path} & wait'],
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
    )
    (trainer,) = written(tmp_path, '0')
    shell.kill()
    shell.wait()
    time.sleep(0.5)
    assert alive(trainer)
    os.kill(trainer, signal.SIGKILL)
