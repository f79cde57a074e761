import subprocess
import sys

import pytest
from mmengine.config import Config

from downstream.evaluation import pool
from downstream.evaluation.job import FAILURE
from downstream.evaluation.plan import Planned, lanes
from downstream.evaluation.pool import run_jobs
from mim_backbones.console.display import PoolDisplay

# Stands in for `python -m downstream.evaluation.worker JOB.json`: what it does is the job's method.
CHILD = """
import json, os, pathlib, signal, sys
job = pathlib.Path(sys.argv[1])
kind = json.loads(job.read_text())['method']
(job.parent / 'gpus.txt').write_text(os.environ.get('CUDA_VISIBLE_DEVICES', ''))
if kind == 'bad':
    (job.parent / 'failure.txt').write_text('the data are missing')
    sys.exit(2)
if kind == 'killed':
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def child(tmp_path, monkeypatch):
    """What was started, as (command, threads)."""
    (tmp_path / 'child.py').write_text(CHILD)
    start, started = pool.start_process, []

    def fake(command, log, threads, gpus):
        started.append((command, threads))
        return start([sys.executable, str(tmp_path / 'child.py'), command[-1]], log, threads, gpus)

    monkeypatch.setattr(pool, 'start_process', fake)
    return started


def planned(job):
    return Planned(job, Config({'model': {'type': 'X'}}), None)


@pytest.fixture
def jobs(make_job, child):
    kinds = ('good', 'bad', 'killed', 'good')
    return [planned(make_job('detection', seed=i, method=kind)) for i, kind in enumerate(kinds)]


def run(jobs, parallel):
    with PoolDisplay(len(jobs)) as display:
        return run_jobs(jobs, parallel, display)


def test_failed_jobs_say_why_and_the_others_go_on(jobs, capfd):
    outcomes = run(jobs, 2)
    failures = {outcome.job.seed: outcome.failure for outcome in outcomes}
    assert failures[0] is None
    assert failures[3] is None
    assert failures[1].startswith('the data are missing (log: ')
    assert 'SIGKILL, out of memory perhaps' in failures[2]
    said = capfd.readouterr()
    assert 'failed: the data are missing' in said.err
    assert said.out == ''


def test_an_old_failure_is_forgotten_and_old_checkpoints_are_kept(jobs):
    folder = jobs[0].job.log_folder
    folder.mkdir(parents=True)
    for name in (FAILURE, 'iter_1.pth'):
        (folder / name).write_text('of yesterday')
    (outcome,) = run(jobs[:1], 1)
    assert outcome.failure is None
    assert not (folder / FAILURE).exists()
    assert (folder / 'iter_1.pth').exists()


def test_several_processes_run_under_torchrun_and_share_the_threads(make_job, child):
    (outcome,) = run([planned(make_job('detection', processes=3, threads=6))], 1)
    assert outcome.failure is None
    ((command, threads),) = child
    assert threads == 2
    assert command[1:5] == ['-m', 'torch.distributed.run', '--standalone', '--nproc-per-node=3']


def test_jobs_that_run_at_a_time_have_gpus_of_their_own(make_job, child, monkeypatch):
    monkeypatch.setattr(pool, 'visible_gpus', lambda: ('0', '1', '5', '7'))
    jobs = [planned(make_job('detection', seed=i, processes=2)) for i in range(4)]
    assert not any(outcome.failure for outcome in run(jobs, 2))
    used = [(one.job.log_folder / 'gpus.txt').read_text() for one in jobs]
    assert used[:2] == ['0,1', '5,7']
    assert set(used) == {'0,1', '5,7'}
    monkeypatch.setattr(pool, 'visible_gpus', lambda: ('0',))
    run(jobs[:2], 2)
    assert [(one.job.log_folder / 'gpus.txt').read_text() for one in jobs[:2]] == ['0', '0']


@pytest.mark.parametrize(('gpus', 'processes', 'wanted'), [
    (8, 1, 8), (8, 4, 2), (8, 16, 1), (0, 1, 2), (0, 4, 2),
])  # fmt: skip
def test_how_many_jobs_a_machine_is_meant_for(monkeypatch, gpus, processes, wanted):
    monkeypatch.setattr('downstream.evaluation.plan.visible_gpus', lambda: ('0',) * gpus)
    monkeypatch.setattr('downstream.evaluation.plan.cores', lambda: 16)
    assert lanes(processes) == wanted


def test_job_and_config_come_back_as_written(make_job):
    job = make_job('detection', options={'a.b': (1, 2)})
    config = {'model': {'type': 'X', 'scale': (128, 128), 'sizes': [(1, 2)]}, 'words': "it's"}
    path = job.save(config)
    assert type(job).load(path).key == job.key
    assert type(job).load(path).identity == job.identity
    assert Config.fromfile(path.parent / 'config.py').to_dict() == config


def test_the_worker_says_what_the_user_can_mend(make_job, tmp_path):
    path = make_job('detection').save({'work_dir': str(tmp_path)})
    command = [sys.executable, '-m', 'downstream.evaluation.worker', str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert 'is no recipe: it has no model' in (path.parent / FAILURE).read_text()
