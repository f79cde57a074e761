from pathlib import Path

import pytest

from downstream.evaluation.contestants import open_contestants
from downstream.evaluation.job import config_digest
from downstream.evaluation.job_config import job_config
from downstream.evaluation.plan import plan_jobs
from downstream.results.result import Result, write_result
from mim_backbones.data_spec import load_data_spec
from mim_backbones.errors import UserError

TASKS = ('detection', 'segmentation', 'tracking')


@pytest.fixture
def plan(world, weights, tmp_path):
    contestants = open_contestants([str(weights), 'random'])
    spec = load_data_spec(world)

    def make(tasks=TASKS, seeds=(0,), options=None, out=tmp_path / 'out'):
        return plan_jobs(contestants, tasks, 'smoke', seeds, spec, Path(out), 1, options or {})

    return make


def test_one_job_per_contestant_task_and_seed(plan):
    jobs = [one.job for one in plan(seeds=(0, 3))]
    assert len(jobs) == 2 * 3 * 2
    assert [(job.name, job.task, job.seed) for job in jobs[:3]] == [
        ('simmim', 'detection', 0), ('simmim', 'detection', 3), ('simmim', 'segmentation', 0),
    ]  # fmt: skip
    assert len({job.log_folder for job in jobs}) == len(jobs)


@pytest.mark.parametrize('task', TASKS)
def test_the_recipe_is_fitted_to_checkpoint_and_data(plan, world, weights, task):
    loaded, random = (one.job for one in plan(tasks=(task,)))
    spec = load_data_spec(world)
    with_weights, without = job_config(loaded, spec), job_config(random, spec)
    backbone = with_weights.model.backbone
    assert backbone.arch == {'embed_dim': 48, 'depth': 4, 'num_heads': 3}
    assert backbone.init_cfg.checkpoint == str(weights)
    assert without.model.backbone.init_cfg.checkpoint is None
    assert str(world) in str(with_weights.train_dataloader)
    assert str(world) in str(with_weights.test_dataloader)
    assert with_weights.default_hooks.checkpoint is None
    # The same computation but for the weights, wherever things lie.
    assert config_digest(with_weights) == config_digest(without)


@pytest.mark.parametrize('task', ['detection', 'segmentation'])
def test_the_heads_start_alike_with_and_without_weights(plan, world, task):
    from mim_backbones.training.launch import build_runner

    states = []
    for one in plan(tasks=(task,), seeds=(5,)):
        runner = build_runner(job_config(one.job, load_data_spec(world)))
        runner._init_model_weights()
        states.append(runner.model.state_dict())
    same = {key for key in states[0] if (states[0][key] == states[1][key]).all()}
    assert {key for key in states[0] if not key.startswith('backbone.')} <= same
    assert 'backbone.blocks.0.attn.qkv.weight' not in same


def test_what_is_there_is_not_done_again(plan, tmp_path):
    (job, _) = (one.job for one in plan(tasks=('detection',)))
    spec = load_data_spec(Path(job.data))
    result = Result(
        name=job.name, checkpoint=job.checkpoint, method=job.method, architecture='x',
        task=job.task, protocol=job.protocol, metrics={'mask_mAP': 1.0}, primary='mask_mAP',
        seed=0, cost={}, versions={}, data=vars(job.card),
        config_sha256=config_digest(job_config(job, spec)),
    )  # fmt: skip
    path = write_result(tmp_path / 'out', result)
    assert [one.done for one in plan(tasks=('detection',))] == [path, None]
    other = plan(tasks=('detection',), options={'train_cfg.max_iters': 3})
    assert [one.done for one in other] == [None, None]
    path.write_text('{')
    assert [one.done for one in plan(tasks=('detection',))] == [None, None]


def test_a_key_that_nothing_reads_is_named(plan):
    with pytest.raises(UserError, match=r"max_iterz.*did you mean 'max_iters'"):
        plan(tasks=('segmentation',), options={'train_cfg.max_iterz': 3})
    with pytest.raises(UserError, match='nothing reads it'):
        plan(tasks=('segmentation',), options={'iterations': 3})
    with pytest.raises(UserError, match=r'--cfg-options: .*iterations'):
        plan(tasks=('segmentation',), options={'iterations.x': 3})
