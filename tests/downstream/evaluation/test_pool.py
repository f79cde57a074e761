import sys

import pytest

from downstream.evaluation import pool as job_pool
from downstream.evaluation.pool import run_jobs
from downstream.evaluation.worker import FAILURE

# Stands in for `python -m downstream.evaluation.worker JOB.json`: what it does is the job's method.
CHILD = """
import json, os, pathlib, signal, sys
job = pathlib.Path(sys.argv[1])
kind = json.loads(job.read_text())['method']
if kind == 'bad':
    (job.parent / 'failure.txt').write_text('the data are missing')
    sys.exit(2)
if kind == 'killed':
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def jobs(make_job, tmp_path, monkeypatch):
    child = tmp_path / 'child.py'
    child.write_text(CHILD)
    start = job_pool.start_process

    def fake(command, *given):
        return start([sys.executable, str(child), command[-1]], *given)

    monkeypatch.setattr(job_pool, 'start_process', fake)
    kinds = ('good', 'bad', 'killed', 'good')
    return [make_job('detection', seed=i, method=kind) for i, kind in enumerate(kinds)]


def test_failed_jobs_say_why_and_the_others_go_on(jobs):
    heard = []
    outcomes = run_jobs(jobs, parallel=2, ended=heard.append)
    assert outcomes == heard
    failures = {outcome.job.seed: outcome.failure for outcome in outcomes}
    assert failures[0] is None
    assert failures[3] is None
    assert failures[1].startswith('the data are missing (log: ')
    assert 'SIGKILL, out of memory perhaps' in failures[2]


def test_an_old_failure_is_forgotten(jobs):
    folder = jobs[0].log_folder
    folder.mkdir(parents=True)
    (folder / FAILURE).write_text('of yesterday')
    (outcome,) = run_jobs(jobs[:1], parallel=1)
    assert outcome.failure is None
    assert not (folder / FAILURE).exists()
