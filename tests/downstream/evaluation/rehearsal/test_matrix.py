"""What a rehearsal foretells from what it measured, and what it runs."""

from dataclasses import replace
from pathlib import Path

import pytest

from downstream.evaluation.contestants import open_contestants
from downstream.evaluation.job_config import batch_of
from downstream.evaluation.plan import Request, plan_jobs
from downstream.evaluation.rehearsal import display
from downstream.evaluation.rehearsal.few import Few
from downstream.evaluation.rehearsal.matrix import (
    Matrix,
    Rehearsed,
    checkpoints_held,
    like_but_for_seed,
    shortened,
)
from downstream.evaluation.rehearsal.measures import Measures
from mim_backbones.data_spec import load_data_spec
from mim_backbones.errors import UserError

GIB = 2**30


@pytest.fixture
def plan(world, weights, tmp_path):
    def make(**request):
        given = Request(('x',), world, tmp_path / 'out', **request)
        return plan_jobs(given, open_contestants([str(weights)]), load_data_spec(world))

    return make


@pytest.fixture
def row(plan):
    (planned,) = plan(tasks=('detection',))
    measures = Measures(
        start_seconds=10.0, step_seconds=2.0, step_images=2, steps=100, image_seconds=0.5,
        host_bytes=3 * GIB, checkpoint_bytes=GIB,
    )  # fmt: skip
    job = replace(planned.job, card=replace(planned.job.card, val=40))
    return Rehearsed(job, 2, 1, 2, 16, 3, measures)


def test_a_job_is_foretold_from_its_parts(row) -> None:
    assert row.step_seconds == 16.0  # 2 of 16 images were timed
    assert row.seconds == 10 + 100 * 16 + 40 * 0.5
    assert (row.disk_bytes, row.kept_bytes) == (3 * GIB, 0)
    kept = replace(row, job=replace(row.job, keep_checkpoints=True))
    assert kept.kept_bytes == 2 * GIB
    half = replace(row, job=replace(row.job, processes=2))
    assert row.seconds - half.seconds == 20 * 0.5


def test_the_matrix_in_lanes(row) -> None:
    long = replace(row, measures=replace(row.measures, steps=200), count=1)
    found = Matrix([row, long], {}, 0, 2, 100 * GIB)
    # lanes: row, row | then long on the first that is free
    assert found.seconds == row.seconds + long.seconds
    assert found.disk_bytes == 2 * 3 * GIB
    assert found.failures == {}
    kept = [replace(one, job=replace(one.job, keep_checkpoints=True)) for one in (row, long)]
    assert Matrix(kept, {}, 0, 2, 0).disk_bytes == (3 * 2 + 2 * 1) * GIB


def test_a_disk_too_small_is_a_failure(row) -> None:
    found = Matrix([row], {}, 0, 1, GIB)
    assert 'needs 3.0 GiB for checkpoints, and 1.0 GiB are free' in found.failures['disk']


def test_failures_are_said_and_the_rest_is_counted(row) -> None:
    failed = replace(row, failure='no such file', job=replace(row.job, seed=3))
    found = Matrix([failed, row], {'broken': 'cannot be read'}, 1, 1, 100 * GIB)
    assert found.seconds == 2 * row.seconds
    said = display.lines(found)
    assert 'broken: cannot be read' in said
    assert f'{failed.job.title}: no such file' in said
    assert any('16 images a step, timed on 2 of them; memory is that of 1' in one for one in said)
    assert any(one.startswith('what does not fail: ') for one in said)
    record = display.as_record(found)
    assert [one['ok'] for one in record['jobs']] == [False, True]
    assert record['jobs'][1]['images_per_step'] == 16


def test_jobs_of_several_seeds_are_rehearsed_once(plan) -> None:
    groups = like_but_for_seed(plan(tasks=('detection', 'segmentation'), seeds=(0, 1, 2)))
    assert [[one.job.seed for one in group] for group in groups] == [[0, 1, 2]] * 2


def test_a_rehearsed_job_is_the_job_but_for_its_batch_and_its_places(plan, tmp_path) -> None:
    options = {'auto_scale_lr.base_batch_size': 64}
    (planned,) = plan(tasks=('detection',), options=options)
    cut = shortened(planned, tmp_path / 'rehearsal')
    changed = {
        key for key in planned.config.to_dict() if cut.config.get(key) != planned.config.get(key)
    }
    assert changed <= {
        'work_dir', 'resume', 'train_dataloader', 'auto_scale_lr', 'default_hooks',
        'test_dataloader',
    }  # fmt: skip
    assert cut.config.train_dataloader.dataset == planned.config.train_dataloader.dataset
    assert batch_of(cut.config, 1).at_once == 8  # of tier smoke: what the job takes
    assert batch_of(cut.config, 1).parts == 2
    assert batch_of(planned.config, 1).parts == 8
    large = replace(planned, job=replace(
        planned.job, protocol=replace(planned.job.protocol, tier='full')))  # fmt: skip
    assert batch_of(shortened(large, tmp_path).config, 1).at_once in (1, 8)  # 8 with a GPU


def test_files_a_job_holds(plan) -> None:
    (short,) = plan(tasks=('detection',))
    assert checkpoints_held(short, 250) == 0
    (long,) = plan(tasks=('detection',), options={'default_hooks.checkpoint.interval': 10})
    assert checkpoints_held(long, 250) == 3  # two are kept, a third is being written


class Numbers:
    metainfo = {'classes': ('a',)}

    def __len__(self) -> int:
        return 10

    def __getitem__(self, index: int) -> int:
        return index


def test_few_of_a_data_set(monkeypatch) -> None:
    monkeypatch.setattr(
        'downstream.evaluation.rehearsal.few.ROOT_DATASETS', type('R', (), {'build': lambda x: x})
    )
    few = Few(Numbers(), 2)
    assert [few[i] for i in range(len(few))] == [2, 7]
    assert few.metainfo == {'classes': ('a',)}
    assert len(Few(Numbers(), 20)) == 10


def test_what_cannot_be_used_is_refused_one_by_one(world, weights, tmp_path) -> None:
    refused: dict[str, str] = {}

    def refuse(title: str, error: UserError) -> None:
        refused[title] = str(error)

    (tmp_path / 'cut.pth').write_bytes(Path(weights).read_bytes()[:3000])
    sources = [str(tmp_path / 'none.pth'), str(tmp_path / 'cut.pth'), str(weights), 'random']
    contestants = open_contestants(sources, refuse=refuse)
    assert list(refused) == ['none', 'cut']
    assert len(contestants) == 2
    file = tmp_path / 'data.yaml'
    file.write_text(
        f'detection: {{root: {world / "coco"}, val_annotations: annotations/gone.json}}\n'
        f'tracking: {{root: {world / "lasot"}}}\n'
    )
    given = Request((), file, tmp_path / 'out')
    planned = plan_jobs(given, contestants, load_data_spec(file), refuse)
    assert {one.job.task for one in planned} == {'tracking'}
    assert 'gone.json is not there' in refused['detection']
