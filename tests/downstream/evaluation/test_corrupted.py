"""`mimbench eval --corruptions` as a user runs it: real trainings of a few steps."""

import json
import os
import signal
import time

import pytest
from click.testing import CliRunner

from downstream.commands.eval import evaluate
from downstream.evaluation.contestants import open_contestants
from downstream.evaluation.plan import Request, plan_jobs
from downstream.evaluation.pool import stand_of, start_job
from downstream.results.result import read_result, read_results
from downstream.robustness.conditions import Conditions
from mim_backbones.data_spec import load_data_spec
from mim_backbones.errors import UserError

TWO = Conditions(('fog', 'impulse_noise'), (1, 5))
QUICK = {'train_cfg.max_iters': 4, 'train_dataloader.batch_size': 2}


@pytest.fixture
def plan(world, weights, tmp_path):
    """(task, out, conditions, request...) -> the planned job."""
    contestants = open_contestants([str(weights)])

    def planned(task, out='out', conditions=None, batch=2, **request):
        options = {**QUICK, 'train_dataloader.batch_size': batch}
        given = Request((), world, tmp_path / out, (task,), options=options, threads=1,
                        conditions=conditions, **request)  # fmt: skip
        (one,) = plan_jobs(given, contestants, load_data_spec(world))
        return one

    return planned


def ended(planned, process=None):
    process = process or start_job(planned)
    log = planned.job.log_folder / 'log.txt'
    assert process.wait(300) == 0, log.read_text()[-3000:]
    (stored,) = read_results(planned.job.log_folder.parents[1])
    return stored.result


@pytest.mark.slow
@pytest.mark.parametrize('task', ['detection', 'segmentation'])
def test_clean_scores_stay_what_they_are(plan, task):
    clean = ended(plan(task, 'clean'))
    result = ended(plan(task, 'both', TWO))
    robustness = result.robustness
    assert clean.robustness is None and robustness is not None
    assert set(robustness.scores) == set(TWO.corruptions) and robustness.severities == (1, 5)
    assert result.metrics == clean.metrics
    for key in ('config_sha256', 'protocol_sha256', 'backbone_sha256', 'changes', 'stem'):
        assert getattr(result, key) == getattr(clean, key), key
    assert result.cost['corruption_seconds'] > 0 and robustness.halves
    if task == 'segmentation':
        assert robustness.values('aAcc', 'impulse_noise')[1] != result.metrics['aAcc']

    fewer = plan(task, 'both', Conditions(('fog',), (5,)))
    assert fewer.done is not None and plan(task, 'both').done is not None
    more = plan(task, 'both', Conditions(('fog', 'snow'), (1, 5)))
    assert more.done is None and plan(task, 'clean', TWO).done is None
    before = {p: p.stat().st_mtime_ns for p in more.job.log_folder.glob('corruptions/*.json')}
    again = ended(more)  # trains again to the same weights: fog is not scored again
    assert again.metrics == clean.metrics and list(again.robustness.scores) == ['fog', 'snow']
    assert again.robustness.scores['fog'] == robustness.scores['fog']
    assert all(path.stat().st_mtime_ns == then for path, then in before.items())


@pytest.mark.slow
def test_a_job_killed_between_two_scorings_neither_trains_nor_scores_them_again(plan):
    many = Conditions(('fog', 'snow', 'contrast'), (1, 2, 3, 4))
    planned = plan('segmentation', conditions=many)
    folder = planned.job.log_folder / 'corruptions'
    process = start_job(planned)
    while len(list(folder.glob('*.json'))) < 2:
        assert process.poll() is None
        time.sleep(0.01)
    assert stand_of(planned.job).words.startswith('corrupted ')
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    done = {path: path.stat().st_mtime_ns for path in folder.glob('*.json')}
    assert 2 <= len(done) < 12

    planned = plan('segmentation', conditions=many)
    assert planned.done is None
    result = ended(planned)
    assert result.run['resumed_at'] == 4  # from the trained weights
    assert len(list(folder.glob('*.json'))) == 12
    assert all(path.stat().st_mtime_ns == then for path, then in done.items())
    assert not list(planned.job.log_folder.glob('*.pth'))
    assert result.robustness.mean('mIoU') >= 0


@pytest.mark.slow
def test_two_processes_score_together(plan):
    fog = Conditions(('fog',), (3,))
    result = ended(plan('segmentation', conditions=fog, batch=4, processes=2))
    robustness = result.robustness
    assert robustness.scores['fog']['3'].keys() == result.metrics.keys()
    assert result.run['processes'] == 2 and robustness.halves


def test_what_cannot_be_corrupted_is_refused_before_anything_runs(plan, world, weights, tmp_path):
    with pytest.raises(UserError, match='tracking decodes its test pictures in no pipeline'):
        plan('tracking', conditions=TWO)
    words = [str(weights), '--data', str(world), '--out', str(tmp_path / 'out')]
    for more, message in (
        (['--corruptions', 'fgo'], 'did you mean'),
        (['--corruptions', 'fog', '--severities', '6'], 'severity'),
        (['--severities', '1'], 'go with --corruptions'),
    ):
        found = CliRunner().invoke(evaluate, [*words, *more])
        assert found.exit_code == 2 and message in found.output
    assert not (tmp_path / 'out').exists()


@pytest.mark.slow
def test_the_command(world, weights, tmp_path):
    words = [weights, '--data', world, '--out', tmp_path / 'out', '--tasks', 'segmentation']
    words += ['--corruptions', 'fog,contrast', '--severities', '3', '--json', '--threads', '1']
    words += [part for key, value in QUICK.items() for part in ('--cfg-options', f'{key}={value}')]
    done = CliRunner().invoke(evaluate, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    (record,) = json.loads(done.stdout)
    robustness = read_result(record['result']).result.robustness
    assert record['robustness']['mPC']['mIoU'] == robustness.mean('mIoU')
