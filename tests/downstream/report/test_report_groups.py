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


@pytest.mark.parametrize(
    'changes',
    [
        {'protocol': Protocol('one-stream', '2', 'smoke')},
        {'protocol': Protocol('one-stream', '1', 'proxy')},
        {'protocol': Protocol('two-stream', '1', 'smoke')},
        {'data': {'name': 'synthetic-small', 'fingerprint': 'other'}},
    ],
)
def test_another_protocol_or_data_is_never_compared(stored, changes):
    groups = group_results([stored('mae'), stored('simmim', **changes)])
    assert [[system.label for system in group.systems] for group in groups] in (
        [['mae'], ['simmim']],
        [['simmim'], ['mae']],
    )
    assert len({group.slug for group in groups}) == 2


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
    assert group_results([stored('mae', 'detection')])[0].headline_metrics == (
        'box_mAP',
        'mask_mAP',
    )


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
