from dataclasses import replace
from pathlib import Path

import pytest

from downstream.report.read.groups import group_results
from downstream.results.result import Checkpoint, Protocol, StoredResult
from mim_backbones.errors import UserError


@pytest.fixture
def stored(made_up):
    """(name, task, seed, **changes) -> a result as if read from a file."""

    def make(name, task='tracking', seed=0, **changes):
        result, _ = made_up(name, task, seed, **changes)
        return StoredResult(Path(f'{result.stem}.json'), result)

    return make


def test_one_group_per_task_with_seeds_in_order(stored):
    groups = group_results(
        [stored('mae', 'tracking'), stored('mae', 'segmentation', 1), stored('mae', 'segmentation')]
    )
    assert [group.task for group in groups] == ['segmentation', 'tracking']
    assert [run.result.seed for run in groups[0].systems[0].runs] == [0, 1]


def test_by_name_each_seed_may_have_a_pre_training_of_its_own(stored):
    results = [
        stored('mae', seed=seed, checkpoint=Checkpoint(f'{seed}.pth', digest))
        for seed, digest in enumerate(('aaaaaaaaaa', 'bbbbbbbbbb'))
    ]
    (apart,) = group_results(results)
    assert [len(system.runs) for system in apart.systems] == [1, 1]
    (pooled,) = group_results(results, by_name=True)
    (system,) = pooled.systems
    assert system.label == 'mae' and [run.result.seed for run in system.runs] == [0, 1]
    again = stored('mae', seed=1, checkpoint=Checkpoint('c.pth', 'cccccccccc'))
    with pytest.raises(UserError, match=r'the same run of mae \(seed 1\); delete one'):
        group_results([*results, again], by_name=True)


@pytest.mark.parametrize(
    'changes',
    [
        {'protocol': Protocol('one-stream', '2', 'tracking', 'smoke')},
        {'protocol': Protocol('one-stream', '1', 'tracking', 'proxy')},
        {'protocol': Protocol('two-stream', '1', 'tracking', 'smoke')},
        {'data': {'name': 'synthetic-small', 'fingerprint': 'other'}},
        {'changes': {'train_cfg.max_iters': 1}},
        {'protocol_sha256': 'another recipe under the same name'},
    ],
)
def test_another_protocol_or_data_is_never_compared(stored, changes):
    groups = group_results([stored('mae'), stored('simmim', **changes)])
    assert [[system.label for system in group.systems] for group in groups] in (
        [['mae'], ['simmim']],
        [['simmim'], ['mae']],
    )
    assert len({group.slug for group in groups}) == 2
    assert len({group.title for group in groups}) == 2


def test_a_changed_option_stands_beside_the_name_of_the_protocol(stored):
    changes = {'train_cfg.max_iters': 1}
    groups = group_results([stored('mae'), stored('mae', changes=changes)])
    titles = {group.title for group in groups}
    name = 'Tracking: one-stream v1 (smoke)'
    assert titles == {
        f'{name}, synthetic-small',
        f'{name}, changed: train_cfg.max_iters=1, synthetic-small',
    }


def test_tasks_that_share_a_protocol_name_do_not_collide(stored):
    shared = [
        stored('mae', task, protocol=Protocol('linear', '1', task, 'smoke'))
        for task in ('segmentation', 'tracking')
    ]
    groups = group_results(shared)
    assert [group.task for group in groups] == ['segmentation', 'tracking']
    assert len({group.slug for group in groups}) == 2


@pytest.mark.parametrize(
    ('roots', 'expected'),
    [
        (('/data/old/lasot', '/data/new/lasot'), {'old/lasot', 'new/lasot'}),
        (('/a/data/lasot', '/b/data/lasot'), {'lasot 11111111', 'lasot 22222222'}),
    ],
)
def test_data_sets_of_one_name_are_told_apart(stored, roots, expected):
    results = [
        stored('mae', data={'name': 'lasot', 'root': root, 'fingerprint': digit * 16})
        for root, digit in zip(roots, '12')
    ]
    assert {group.data_text for group in group_results(results)} == expected
    # of different tasks nothing has to be added
    other = stored('mae', 'segmentation', data={'name': 'lasot', 'fingerprint': '3'})
    assert {group.data_text for group in group_results([results[0], other])} == {'lasot'}


def test_backbones_of_one_size_and_other_options_are_systems_of_their_own(stored):
    systems = group_results([stored('mae'), stored('mae', backbone_sha256='5' * 64)])[0].systems
    assert {len(system.runs) for system in systems} == {1}
    assert 'mae (backbone 55555555)' in {system.label for system in systems}


def test_a_result_of_a_task_that_is_not_installed_is_a_group_too(stored):
    one = stored('mae')
    depth = {'task': 'depth', 'protocol': Protocol('linear', '1', 'depth', 'smoke')}
    result = replace(one.result, **depth, metrics={'rel_abs': 1.0}, primary='rel_abs')
    group = group_results([replace(one, result=result)])[0]
    assert (group.known, group.unit, group.headline_metrics) == (None, 'units', ('rel_abs',))
    assert group.metric_name('rel_abs') == 'rel abs'


def test_namesakes_get_labels_that_tell_them_apart(stored):
    other = Checkpoint('other.pth', '0123456789')
    groups = group_results(
        [
            stored('mae'),
            stored('mae', checkpoint=other),
            stored('mae', architecture='ViT-B/16', checkpoint=other),
            stored('simmim'),
        ]
    )
    assert [system.label for system in groups[0].systems] == [
        'mae (ViT-B/16)',
        'mae (ViT-Ti/16, 01234567)',
        'mae (ViT-Ti/16, maemaema)',
        'simmim',
    ]


def test_metrics_are_those_all_runs_have_with_the_primary_first(stored):
    one = stored('mae')
    metrics = {key: value for key, value in one.result.metrics.items() if key != 'P'}
    other = stored('simmim', metrics=dict(reversed(metrics.items())))
    group = group_results([one, other])[0]
    assert group.metrics == ('AUC', 'P_norm')
    assert group.headline_metrics == ('AUC',)
    detection = group_results([stored('mae', 'detection')])[0]
    assert detection.headline_metrics == ('box_mAP', 'mask_mAP')
    assert detection.metric_name('box_mAP_75') == 'box AP75'


def test_the_same_run_twice_is_refused(stored):
    one = stored('mae')
    copy = StoredResult(Path('copy.json'), one.result)
    with pytest.raises(UserError, match=r'copy\.json are the same run of mae \(seed 0\)'):
        group_results([one, copy])


def test_two_primary_metrics_in_a_group_are_refused(stored):
    one, other = stored('mae'), stored('simmim')
    other = StoredResult(other.path, replace(other.result, primary='P'))
    with pytest.raises(UserError, match='primary metric P'):
        group_results([one, other])
