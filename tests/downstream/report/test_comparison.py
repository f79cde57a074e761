from dataclasses import replace

import numpy as np
import pytest

from downstream.report.comparison import compare
from downstream.report.content import gather
from downstream.report.formats.markdown import render_markdown
from downstream.report.formats.write import render_page
from downstream.report.read import groups
from downstream.report.read.groups import group_results
from downstream.results.interval import difference, half_scores
from downstream.results.result import read_results, write_result
from downstream.task import tasks
from downstream.tracking.units import TrackingUnits
from mim_backbones.errors import UserError


def tables(folder, **options):
    return compare(group_results(read_results(folder)), splits=60, **options)


def rows(table):
    return {row.system.label: row for row in table.rows}


def test_differences_are_to_random_init_and_paired(results_dir, made_up):
    detection, segmentation, tracking = tables(results_dir)
    assert [row.system.label for row in tracking.rows] == ['mae', 'simmim', 'random init']
    assert tracking.baselines == ('random init',)
    found = rows(tracking)
    assert found['random init'].differences == {}
    names = ('simmim', 'random init')
    a, b = (half_scores(made_up(name, 'tracking')[1], splits=60)['AUC'] for name in names)
    assert found['simmim'].differences['AUC'] == difference([a], [b])
    assert (detection.units, segmentation.units, tracking.units) == (60, 60, 40)


def test_seeds_are_averaged_and_their_spread_stated(results_dir, made_up):
    segmentation, tracking = tables(results_dir)[1:]
    score = rows(segmentation)['mae'].scores['mIoU']
    each = [made_up('mae', 'segmentation', seed)[1].observed()['mIoU'] for seed in (0, 1, 2)]
    assert score.value == pytest.approx(np.mean(each))
    assert score.spread == pytest.approx(np.std(each, ddof=1), abs=0.01)
    assert score.interval.low < score.value < score.interval.high
    assert rows(tracking)['mae'].scores['AUC'].spread is None


def test_a_mark_needs_two_trainings_a_side(results_dir):
    _, segmentation, tracking = tables(results_dir)
    three, one = (rows(table)['simmim'].differences for table in (segmentation, tracking))
    assert three['mIoU'].clear_of_zero
    assert one['AUC'].low > 0  # over the sequences it is clear, of other trainings it says nothing
    assert not one['AUC'].clear_of_zero
    assert (segmentation.lone_trainings, tracking.lone_trainings) == (False, True)
    assert (segmentation.trainings, tracking.trainings) == ({3}, {1})


def test_the_baseline_can_be_chosen(results_dir):
    tracking = tables(results_dir, baseline='mae')[2]
    assert rows(tracking)['random init'].differences['AUC'].value < 0
    assert tracking.rows[-1].system.label == 'mae'
    with pytest.raises(UserError, match=r"named 'moco'; --baseline can be: mae, random init"):
        tables(results_dir, baseline='moco')


def test_rows_come_in_the_order_asked_for(results_dir):
    asked = {'baseline': 'simmim', 'order': ['simmim', 'random init']}
    tracking = tables(results_dir, **asked)[2]
    assert [row.system.label for row in tracking.rows] == ['simmim', 'random init', 'mae']
    content = gather(results_dir, 'T', splits=50, **asked)
    assert content.labels == ('simmim', 'random init', 'mae')
    with pytest.raises(UserError, match="named 'moco'; --order can have: mae, random init, simmim"):
        tables(results_dir, order=['mae', 'moco'])


def test_random_init_of_another_architecture_is_no_baseline(tmp_path, made_up):
    for changes in (
        {'name': 'mae', 'architecture': 'ViT-B/16'},
        {'name': 'random init'},
        {'name': 'simmim'},
    ):
        write_result(tmp_path, *made_up(task='tracking', **changes))
    found = rows(tables(tmp_path)[0])
    assert found['mae'].baseline is None
    assert found['simmim'].baseline == 'random init'
    chosen = rows(tables(tmp_path, baseline='random init')[0])
    assert chosen['mae'].baseline == 'random init'


def test_each_architecture_has_its_own_random_init(tmp_path, made_up):
    for architecture in ('ViT-B/16', 'ViT-Ti/16'):
        for name in ('mae', 'random init'):
            write_result(
                tmp_path / architecture[:5], *made_up(name, 'tracking', architecture=architecture)
            )
    results = [r for folder in sorted(tmp_path.iterdir()) for r in read_results(folder)]
    table = compare(group_results(results), splits=50)[0]
    assert {row.system.label: row.baseline for row in table.rows if row.baseline} == {
        'mae (ViT-B/16)': 'random init (ViT-B/16)',
        'mae (ViT-Ti/16)': 'random init (ViT-Ti/16)',
    }


def test_random_init_of_other_options_at_the_same_size_is_no_baseline(tmp_path, made_up):
    write_result(tmp_path, *made_up('mae', 'tracking'))
    write_result(tmp_path, *made_up('random init', 'tracking', backbone_sha256='5' * 64))
    assert rows(tables(tmp_path)[0])['mae'].baseline is None


@pytest.mark.parametrize('missing', ['the task', 'its units'])
def test_a_task_nobody_knows_or_without_units_has_scores_and_no_interval(
    results_dir, monkeypatch, missing
):
    known = dict(tasks())
    tracking = known.pop('tracking')
    if missing == 'its units':
        known['tracking'] = replace(tracking, units=None)
    monkeypatch.setattr(groups, 'tasks', lambda: known)
    table = tables(results_dir)[2]
    assert (table.group.task, table.units, table.baselines) == ('tracking', None, ())
    said = 'is not installed' if missing == 'the task' else 'without scores of single sequences'
    content = gather(results_dir, 'T', splits=50)
    assert said in render_page(content)
    assert said in render_markdown(content)[0]


def test_results_without_units_have_scores_and_nothing_else(tmp_path, made_up):
    for name in ('mae', 'random init'):
        write_result(tmp_path, made_up(name, 'tracking')[0])
    table = tables(tmp_path)[0]
    assert table.units is None
    assert table.baselines == ()
    assert all(score.interval is None for row in table.rows for score in row.scores.values())


def test_units_of_another_evaluation_are_refused(tmp_path, made_up):
    result, _ = made_up('mae', 'tracking')
    path = write_result(tmp_path, result, made_up('mae', 'tracking', seed=7)[1])
    with pytest.raises(UserError, match='not of one evaluation') as error:
        tables(tmp_path)
    assert path.name in str(error.value)


def test_other_units_under_the_same_fingerprint_are_refused(tmp_path, made_up):
    write_result(tmp_path, *made_up('mae', 'tracking'))
    units = made_up('simmim', 'tracking')[1]
    curves = {name: curve[1:] for name, curve in units.arrays().items()}
    fewer = TrackingUnits.from_arrays(units.names[1:], curves)
    write_result(tmp_path, *made_up('simmim', 'tracking', units=fewer))
    with pytest.raises(UserError, match=r'simmim.*other images or sequences than mae'):
        tables(tmp_path)
