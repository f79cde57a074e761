"""Jobs as `mimbench eval` starts them: killed and run again, on two processes, under load."""

import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest
import torch

from downstream.evaluation.plan import Request, plan_jobs
from downstream.evaluation.pool import start_job
from downstream.results.result import load_units, read_result
from mim_backbones.data_spec import load_data_spec

STEPS = 6


@pytest.fixture
def evaluate(world, weights, tmp_path):
    """(task, out, options, request...) -> the job and its process."""
    from downstream.evaluation.contestants import open_contestants

    contestants = open_contestants([str(weights)])

    def start(task, out, options=None, **request):
        quick = {'train_cfg.max_iters': STEPS, 'train_dataloader.batch_size': 2, **(options or {})}
        given = Request((), world, tmp_path / out, (task,), options=quick, threads=1, **request)
        (planned,) = plan_jobs(given, contestants, load_data_spec(world))
        assert planned.done is None
        return planned.job, start_job(planned)

    return start


def ended(job, process):
    assert process.wait(300) == 0, (job.log_folder / 'log.txt').read_text()[-3000:]
    (path,) = Path(job.out).glob('[!.]*.json')
    return read_result(path).result


def names(out, result):
    return sorted(load_units(out / result.units).names)


def final_weights(job):
    return torch.load(job.log_folder / f'iter_{STEPS}.pth', weights_only=False)['state_dict']


@pytest.mark.slow
@pytest.mark.parametrize('task', ['detection', 'segmentation', 'tracking'])
def test_a_killed_job_goes_on_and_ends_as_if_it_had_not_been_killed(evaluate, task):
    options = {'default_hooks.checkpoint.interval': 1}
    job, process = evaluate(task, 'whole', options, keep_checkpoints=True)
    whole, weights = ended(job, process), final_weights(job)

    job, process = evaluate(task, 'killed', options, keep_checkpoints=True)
    while not (job.log_folder / 'iter_2.pth').exists():
        assert process.poll() is None
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    (job.log_folder / 'last_checkpoint').write_text('')  # as a kill may leave it
    assert not (job.log_folder / f'iter_{STEPS}.pth').exists()

    job, process = evaluate(task, 'killed', options, keep_checkpoints=True)
    result = ended(job, process)
    assert result.run['resumed_at'] >= 1
    assert result.run['steps'] == STEPS
    assert result.metrics == whole.metrics
    assert result.config_sha256 == whole.config_sha256
    resumed = final_weights(job)
    assert resumed.keys() == weights.keys()
    for key, value in resumed.items():
        assert torch.equal(value, weights[key]), key


@pytest.mark.slow
def test_checkpoints_go_when_the_result_is_there(evaluate):
    job, process = evaluate('tracking', 'out', {'default_hooks.checkpoint.interval': 2})
    ended(job, process)
    assert not list(job.log_folder.glob('*.pth'))
    assert not (job.log_folder / 'last_checkpoint').exists()
    short, process = evaluate('tracking', 'kept', keep_checkpoints=True)
    ended(short, process)
    assert final_weights(short)


@pytest.mark.slow
@pytest.mark.parametrize('task', ['detection', 'segmentation', 'tracking'])
def test_two_processes_train_and_score_together(evaluate, task, tmp_path):
    options = {'train_dataloader.batch_size': 4}
    job, process = evaluate(task, 'two', options, processes=2)
    two = ended(job, process)
    assert two.run['processes'] == 2
    assert two.run['images_per_step'] == 4
    assert two.units
    job, process = evaluate(task, 'one', options)
    one = ended(job, process)
    assert two.protocol_sha256 == one.protocol_sha256
    assert set(two.metrics) == set(one.metrics)
    assert names(tmp_path / 'two', two) == names(tmp_path / 'one', one)  # all units, each once


def burn(stop):
    while not stop.is_set():
        torch.ones(200, 200).pow(2).sum()


@pytest.fixture
def load():
    """Two processes that do nothing but compute."""
    context = multiprocessing.get_context('spawn')
    stop = context.Event()
    burning = [context.Process(target=burn, args=(stop,)) for _ in range(2)]
    for process in burning:
        process.start()
    yield
    stop.set()
    for process in burning:
        process.join()


@pytest.mark.slow
@pytest.mark.parametrize('task', ['detection', 'segmentation', 'tracking'])
def test_the_same_seed_gives_the_same_digits_whatever_else_runs(evaluate, task, request):
    options = {'train_cfg.max_iters': STEPS, 'train_dataloader.batch_size': 4}
    job, process = evaluate(task, 'calm', options, keep_checkpoints=True)
    calm, weights = ended(job, process), final_weights(job)
    request.getfixturevalue('load')
    job, process = evaluate(task, 'loaded', options, keep_checkpoints=True)
    loaded = ended(job, process)
    assert loaded.metrics == calm.metrics
    for key, value in final_weights(job).items():
        assert torch.equal(value, weights[key]), key
