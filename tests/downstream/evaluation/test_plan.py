from dataclasses import replace

import pytest

from downstream.evaluation import protocols
from downstream.evaluation.contestants import open_contestants
from downstream.evaluation.job_config import batch_of
from downstream.evaluation.plan import Request, plan_jobs, result_key
from downstream.evaluation.worker import result_of
from downstream.results.result import write_result
from downstream.task import Evaluation, tasks
from mim_backbones.data_spec import load_data_spec
from mim_backbones.errors import UserError

TASKS = tuple(tasks())


@pytest.fixture
def plan(world, weights, tmp_path):
    contestants = open_contestants([str(weights), 'random'])
    spec = load_data_spec(world)

    def make(tasks=TASKS, seeds=(0,), options=None, contestants=contestants, **others):
        given = {'out': tmp_path / 'out', 'tasks': tasks, 'seeds': seeds, 'options': options or {}}
        return plan_jobs(Request(sources=(), data=world, **{**given, **others}), contestants, spec)

    return make


def test_one_job_per_contestant_task_and_seed(plan):
    jobs = [one.job for one in plan(seeds=(0, 3))]
    assert len(jobs) == 2 * len(TASKS) * 2
    assert [(job.name, job.task, job.seed) for job in jobs[:3]] == [
        ('simmim', 'classification', 0), ('simmim', 'classification', 3),
        ('simmim', 'detection', 0),
    ]  # fmt: skip
    assert len({job.log_folder for job in jobs}) == len(jobs)
    assert len({job.title for job in jobs}) == len(jobs)
    assert len({job.key for job in jobs}) == len(jobs)


@pytest.mark.parametrize('task', TASKS)
def test_the_recipe_is_fitted_to_checkpoint_and_data(plan, world, weights, task):
    loaded, random = plan(tasks=(task,))
    backbone = loaded.config.model.backbone
    assert backbone.arch == {'embed_dim': 48, 'depth': 4, 'num_heads': 3}
    assert backbone.init_cfg.checkpoint == str(weights)
    assert random.config.model.backbone.init_cfg.checkpoint is None
    assert str(world) in str(loaded.config.train_dataloader)
    assert str(world) in str(loaded.config.test_dataloader)
    assert loaded.config.default_hooks.checkpoint is None
    # The same computation but for the weights, wherever things lie.
    assert loaded.job.identity == random.job.identity


@pytest.mark.parametrize('task', ['detection', 'segmentation'])
def test_the_heads_start_alike_with_and_without_weights(plan, task):
    from mim_backbones.training.launch import build_runner

    states = []
    for one in plan(tasks=(task,), seeds=(5,)):
        runner = build_runner(one.config)
        runner._init_model_weights()
        states.append(runner.model.state_dict())
    same = {key for key in states[0] if (states[0][key] == states[1][key]).all()}
    assert {key for key in states[0] if not key.startswith('backbone.')} <= same
    assert 'backbone.blocks.0.attn.qkv.weight' not in same


def result_for(job):
    metric = tasks()[job.task].headline[0]
    return result_of(job, Evaluation({metric: 1.0}), {}, {})


def test_what_is_there_is_not_done_again(plan, tmp_path):
    (job, _) = (one.job for one in plan(tasks=('detection',)))
    path = write_result(tmp_path / 'out', result_for(job))
    assert [one.done for one in plan(tasks=('detection',))] == [path, None]
    other = plan(tasks=('detection',), options={'train_cfg.max_iters': 3})
    assert [one.done for one in other] == [None, None]
    path.write_text('{')
    assert [one.done for one in plan(tasks=('detection',))] == [None, None]


@pytest.mark.parametrize('task', TASKS)
def test_results_of_other_options_data_and_seeds_stand_beside(plan, tmp_path, task):
    job = plan(tasks=(task,))[0].job
    options = plan(tasks=(task,), options={'train_cfg.max_iters': 3})[0].job
    data = replace(job, card=replace(job.card, fingerprint='other'))
    seed = plan(tasks=(task,), seeds=(1,))[0].job
    jobs = [job, options, data, seed]
    paths = {write_result(tmp_path / 'out', result_for(one)) for one in jobs}
    assert len(paths) == 4
    assert len({one.log_folder for one in jobs}) == 4
    assert len({one.key for one in jobs}) == 4
    assert [result_key(result_for(one)) for one in jobs] == [one.key for one in jobs]


@pytest.mark.parametrize('task', TASKS)
def test_two_tasks_that_share_a_protocol_name_do_not_collide(plan, task):
    job = plan(tasks=(task,))[0].job
    other = replace(job, protocol=replace(job.protocol, task='other'))
    assert other.log_folder != job.log_folder
    assert other.title != job.title
    assert other.key != job.key


class TestIdentity:
    def of(self, plan, task, **given):
        return plan(tasks=(task,), **given)[0].job.identity

    @pytest.mark.parametrize('task', TASKS)
    def test_of_an_option_that_changes_the_numbers(self, plan, task):
        before = self.of(plan, task)
        after = self.of(plan, task, options={'train_cfg.max_iters': 1})
        assert before.changes == {}
        assert after.changes == {'train_cfg.max_iters': 1}
        assert after.protocol != before.protocol
        assert after.config != before.config
        assert after.backbone == before.backbone

    @pytest.mark.parametrize('task', TASKS)
    def test_of_what_changes_nothing(self, plan, task, tmp_path):
        before = self.of(plan, task)
        quiet = {
            'default_hooks.logger.interval': 1,
            'train_dataloader.num_workers': 2,
            'test_dataloader.num_workers': 2,
            'log_level': 'ERROR',
            'train_cfg.max_iters': plan(tasks=(task,))[0].config.train_cfg.max_iters,
        }
        assert self.of(plan, task, options=quiet) == before
        assert self.of(plan, task, seeds=(7,)) == before
        assert self.of(plan, task, threads=5, jobs=2, out=tmp_path / 'elsewhere') == before

    @pytest.mark.parametrize('task', TASKS)
    def test_of_another_width_in_the_same_protocol(self, plan, task):
        (one,) = plan_contestant(24)
        small, big = self.of(plan, task), self.of(plan, task, contestants=[one])
        assert small.protocol == big.protocol
        assert small.backbone != big.backbone
        assert small.config != big.config
        assert big.changes == {}

    def test_of_an_option_of_the_backbone(self, plan):
        before = self.of(plan, 'detection')
        after = self.of(plan, 'detection', options={'model.backbone.drop_path_rate': 0.3})
        assert after.changes == {'model.backbone.drop_path_rate': 0.3}
        assert after.protocol != before.protocol
        assert after.backbone == before.backbone  # the protocol's, not the weights'

    def test_one_backbone_is_one_on_every_task(self, plan):
        tasks = ('detection', 'segmentation', 'tracking')
        assert len({self.of(plan, task).backbone for task in tasks}) == 1

    def test_of_an_architecture_by_name_and_by_sizes(self):
        from downstream.evaluation.job_config import whole_options

        spelled = {'embed_dim': 192, 'depth': 12, 'num_heads': 3}
        named = whole_options({'type': 'MIMViT', 'arch': 'tiny'})
        assert named == whole_options({'type': 'mim_backbones.MIMViT', 'arch': spelled})
        assert named == whole_options({'type': 'MIMViT', 'arch': 'tiny', 'init_cfg': {'a': 1}})
        assert named != whole_options({'type': 'MIMViT', 'arch': 'tiny', 'patch_size': 8})

    def test_of_processes_that_share_the_batch(self, plan):
        one, two = plan(tasks=('detection',))[0], plan(tasks=('detection',), processes=2)[0]
        assert one.job.identity == two.job.identity
        assert [batch_of(each.config, each.job.processes).images for each in (one, two)] == [8, 8]
        assert batch_of(two.config, 2).at_once == 4
        with pytest.raises(UserError, match='batch of 8 images cannot be shared by 3 processes'):
            plan(tasks=('detection',), processes=3)

    def test_of_a_batch_that_the_rate_follows(self, plan):
        """A recipe of 16 images on 2 processes of 8: with one process it is another protocol."""
        options = {'auto_scale_lr.enable': True, 'auto_scale_lr.base_batch_size': 16}
        two = plan(tasks=('detection',), processes=2, options=options)[0]
        assert batch_of(two.config, 2).images == 16
        one = plan(tasks=('detection',), options=options)[0]
        assert one.job.identity.protocol != two.job.identity.protocol
        assert batch_of(one.config, 1).rate == 0.5

    def test_of_a_published_batch_it_is_the_same_on_any_number_of_processes(self, plan):
        options = {'auto_scale_lr.enable': False, 'auto_scale_lr.base_batch_size': 16}
        found = [
            plan(tasks=('detection',), processes=n, options={**options, **more})[0].job.identity
            for n, more in ((1, {}), (2, {}), (4, {}), (1, {'train_dataloader.batch_size': 2}))
        ]
        assert len(set(map(str, found))) == 1
        assert found[0].changes == {'train_dataloader.batch_size': 16}  # the recipe's is 8


def plan_contestant(width):
    from downstream.evaluation.contestants import Contestant

    arch = {'embed_dim': width, 'depth': 4, 'num_heads': 3}
    backbone = {'type': 'mim_backbones.MIMViT', 'arch': arch, 'img_size': 64, 'patch_size': 8}
    return [Contestant('wide', None, 'none', backbone)]


def test_a_key_that_nothing_reads_is_named(plan):
    with pytest.raises(UserError, match=r"max_iterz.*did you mean 'max_iters'"):
        plan(tasks=('segmentation',), options={'train_cfg.max_iterz': 3})
    with pytest.raises(UserError, match='nothing reads it'):
        plan(tasks=('segmentation',), options={'iterations': 3})
    with pytest.raises(UserError, match=r'--cfg-options: .*iterations'):
        plan(tasks=('segmentation',), options={'iterations.x': 3})


@pytest.mark.parametrize(('key', 'instead'), [
    ('work_dir', '--out'), ('randomness.seed', '--seed'), ('load_from', 'CKPT'),
])  # fmt: skip
def test_what_eval_sets_itself_is_no_option(plan, key, instead):
    with pytest.raises(UserError, match=f'{key}: mimbench eval sets it; use {instead}'):
        plan(tasks=('segmentation',), options={key: 'x'})


def test_the_data_set_is_described_once(plan, monkeypatch):
    from downstream.segmentation import task

    described = []
    counted = replace(
        task.TASK, describe=lambda data: described.append(data) or task.TASK.describe(data)
    )
    monkeypatch.setitem(tasks(), 'segmentation', counted)
    assert len(plan(tasks=('segmentation',), seeds=(0, 1, 2))) == 6
    assert len(described) == 1


class TestProtocols:
    def test_without_tasks_all_that_the_data_file_names(self, plan):
        assert {one.job.task for one in plan(tasks=())} == set(TASKS)

    def test_by_name(self, plan):
        name = next(n for n, r in protocols.recipes().items() if r.protocol.task == 'tracking'
                    and (r.protocol.tier, r.protocol.family) == ('smoke', 'vit'))  # fmt: skip
        assert {one.job.protocol.name for one in plan(tasks=(), protocols=(name,))} == {name}
        with pytest.raises(UserError, match=f'{name} is of tracking, which --tasks does not name'):
            plan(tasks=('detection',), protocols=(name,))

    def test_an_unknown_one_is_named(self, plan):
        with pytest.raises(UserError, match="no protocol 'gold'"):
            plan(tasks=(), protocols=('gold',))


def test_the_threads_of_a_job_do_not_depend_on_how_many_run(plan, monkeypatch):
    monkeypatch.setattr('downstream.evaluation.plan.cores', lambda: 12)
    found = {plan(tasks=('detection',), jobs=n)[0].job.threads for n in (None, 1, 2, 4)}
    assert found == {6}
    assert plan(tasks=('detection',), threads=3)[0].job.threads == 3
