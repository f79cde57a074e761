"""Ctrl-C and SIGTERM end a training in one line, with a folder to resume."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.mim_backbones.training.line import line_config

ROOT = Path(__file__).parents[3]


def start(folder: Path, *words: str) -> subprocess.Popen:
    (folder / 'line.py').write_text(
        line_config(
            folder / 'run',
            custom_imports={'imports': ['tests.mim_backbones.training.line']},
            train_cfg={'by_epoch': True, 'max_epochs': 3000},
            train_dataloader={
                'batch_size': 2, 'num_workers': 2, 'persistent_workers': True,
                'collate_fn': {'type': 'default_collate'}, 'dataset': {'type': 'SoakNumbers'},
                'sampler': {'type': 'DefaultSampler', 'shuffle': True},
            },
        ).pretty_text
    )  # fmt: skip
    return subprocess.Popen(
        [sys.executable, str(ROOT / 'tools' / 'train.py'), str(folder / 'line.py'), *words],
        env={**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ('number', 'code', 'word'),
    [(signal.SIGINT, 130, 'interrupted'), (signal.SIGTERM, 143, 'terminated')],
)
def test_a_stopped_training_says_one_line(tmp_path, number: int, code: int, word: str) -> None:
    process = start(tmp_path)
    deadline = time.monotonic() + 120
    while not (tmp_path / 'run' / 'epoch_3.pth').exists():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(process.pid, number)  # as a terminal does, to the workers too
    _, said = process.communicate(timeout=60)
    assert process.returncode == code
    assert f'{word}: --resume goes on from the last checkpoint' in said.splitlines()
    assert 'Traceback' not in said
    noted = Path((tmp_path / 'run' / 'last_checkpoint').read_text())
    assert noted.is_file()
    assert not list((tmp_path / 'run').glob('.*.part'))
    again = start(
        tmp_path, '--resume', '--cfg-options',
        f'train_cfg.max_epochs={int(noted.stem.removeprefix("epoch_")) + 2}',
    )  # fmt: skip
    _, said = again.communicate(timeout=120)
    assert again.returncode == 0, said[-2000:]


HANGING_UP = """
import multiprocessing, socket, sys, time
from multiprocessing.resource_sharer import DupFd
from mim_backbones.training.runner import WorkerStart

def work():
    start(0)
    with socket.socket(socket.AF_UNIX) as asking:
        asking.connect(DupFd(1)._id[0])
        time.sleep(0.1)  # closed with the other side's challenge unread
    time.sleep(0.2)
    sys.excepthook(ValueError, ValueError('told'), None)

start = WorkerStart(None)
process = multiprocessing.get_context('fork').Process(target=work)
process.start()
process.join()
"""


def test_a_fetch_cut_short_is_no_error_of_the_worker() -> None:
    run = subprocess.run(
        [sys.executable, '-c', HANGING_UP], env={**os.environ, 'PYTHONPATH': str(ROOT)},
        capture_output=True, text=True,
    )  # fmt: skip
    assert run.stderr == 'ValueError: told\n'
