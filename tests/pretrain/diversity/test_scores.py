"""Diversity against scores: which belong together, and what may be said of them."""

import pytest

from mim_backbones.errors import UserError
from pretrain.diversity import scores
from pretrain.diversity.measure import Measured, Spread
from pretrain.diversity.scores import Against, against_scores, read_scores


def measured(name: str, diversity: float) -> Measured:
    figures = {'token_diversity': Spread(diversity, 0.1)}
    return Measured(name, name, 0, 0, (4, 4), 8, 12, figures, (0.5, 0.2), 1.0)


def line(name: str, value: float, task: str = 'segmentation', metric: str = 'mIoU', **more) -> dict:
    return {
        'checkpoint': name, 'task': task, 'protocol': f'{task}-smoke', 'protocol_version': '1',
        'protocol_sha256': task, 'fingerprint': 'f', 'metric': metric, 'metric_name': metric,
        'value': value, 'low': value - 1, 'high': value + 1, **more,
    }  # fmt: skip


@pytest.fixture
def reported(monkeypatch):
    lines: list[dict] = []
    monkeypatch.setattr(scores, 'report_numbers', lambda folder: lines)
    return lines


def panels(teachers: list[Measured], results) -> list[Against]:
    return against_scores(teachers, read_scores(results, [one.name for one in teachers]))


NAMES = ('a', 'b', 'c', 'd', 'e')


def test_a_panel_for_each_task_of_the_primary_metric(reported, tmp_path) -> None:
    for place, name in enumerate(NAMES):
        reported += [line(name, 10.0 + place), line(name, 99.0 - place, metric='aAcc')]
    reported += [line('random init', 5.0), line('a', 3.0, 'detection', 'bbox_mAP', low=None)]
    teachers = [measured(name, 0.1 * place) for place, name in enumerate(NAMES)]
    segmentation, detection = panels(teachers, tmp_path)
    assert (segmentation.title, segmentation.metric) == (
        'segmentation, segmentation-smoke v1', 'mIoU',
    )  # fmt: skip
    assert [point.name for point in segmentation.points] == list(NAMES)
    assert [point.score for point in segmentation.points] == [10, 11, 12, 13, 14]
    assert (segmentation.points[1].low, segmentation.points[1].high) == (10, 12)
    said = segmentation.verdict()
    assert said.startswith('Spearman +1.00 [+0.')
    assert said.endswith('+1.00] over 5 teachers: the order is shown')
    assert detection.correlation is None and detection.points[0].low is None
    assert detection.verdict() == '1 teacher: too few to say anything, it takes 4'


def test_an_order_that_may_be_chance_is_said_to_be_none(reported, tmp_path) -> None:
    reported += [line(name, score) for name, score in zip(NAMES, (3, 1, 4, 2, 5))]
    teachers = [measured(name, 0.1 * place) for place, name in enumerate(NAMES)]
    (found,) = panels(teachers, tmp_path)
    assert found.verdict().startswith('Spearman +0.50 [-0.')
    assert found.verdict().endswith('no order is shown')
    (alike,) = panels([measured(name, 0.5) for name in NAMES], tmp_path)
    assert alike.verdict() == '5 teachers that do not differ: there is no order to compare'


def test_other_protocols_and_data_are_other_panels(reported, tmp_path) -> None:
    reported += [line('a', 1), line('a', 2, protocol_sha256='other'), line('a', 3, fingerprint='g')]
    found = panels([measured('a', 0.3)], tmp_path)
    assert [one.points[0].score for one in found] == [1, 2, 3]


def test_results_of_other_names_list_them(reported, tmp_path) -> None:
    reported += [line('mae', 1), line('random init', 2)]
    with pytest.raises(UserError, match='has results of mae, random init, none of a; name the tea'):
        panels([measured('a', 0.3)], tmp_path)


def test_what_the_report_refuses_comes_as_its_own_line(tmp_path) -> None:
    with pytest.raises(UserError) as caught:
        panels([measured('a', 0.3)], tmp_path / 'none')
    assert str(caught.value).startswith(f'{tmp_path / "none"}: no such folder')
