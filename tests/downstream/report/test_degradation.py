"""Scores under corruption in every format of a report."""

import csv
import io
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from downstream.report.comparison import compare
from downstream.report.content import gather
from downstream.report.degradation import degradation_tables
from downstream.report.draw.severity import severity_chart
from downstream.report.formats.markdown import render_markdown
from downstream.report.formats.table_csv import render_robustness_csv
from downstream.report.formats.write import render_page, write_report
from downstream.report.read.groups import group_results
from downstream.results.result import read_results, write_result
from downstream.robustness.conditions import NAMES
from mim_backbones.errors import UserError


def tables(folder, order=()):
    (table,) = compare(group_results(read_results(folder)), splits=20, order=order)
    return degradation_tables(table)


def test_means_over_seeds_and_corruptions(shared_corrupted_dir):
    (found,) = tables(shared_corrupted_dir, order=['simmim'])
    assert [row.system.label for row in found.rows] == ['simmim', 'mae', 'random init']
    assert found.corruptions == ('fog', 'snow', 'frost') and found.severities == (1, 3, 5)
    row = found.rows[0]
    stored = [one.result for one in read_results(shared_corrupted_dir)]
    results = [result for result in stored if result.name == 'simmim']
    clean = np.mean([result.metrics['mIoU'] for result in results])
    assert row.clean['mIoU'] == pytest.approx(clean)
    snow = [[r.robustness.scores['snow'][s]['mIoU'] for s in '135'] for r in results]
    assert row.levels['mIoU', 'snow'] == pytest.approx(np.mean(snow, 0))
    assert row.kept('mIoU', 'snow') == pytest.approx(100 * np.mean(snow) / clean)
    shares = [100 * r.robustness.mean('mIoU') / r.metrics['mIoU'] for r in results]
    relative = row.relative['mIoU']
    assert relative.value == pytest.approx(np.mean(shares))
    assert relative.spread == pytest.approx(np.std(shares, ddof=1))
    assert relative.interval.low < relative.value < relative.interval.high
    assert relative.interval.covers_training
    assert row.mean['mIoU'].interval.units == 60
    assert row.mean['mAcc'].interval is not None  # units give it, whatever sums the task up


def test_other_conditions_are_another_table(shared_corrupted_dir, made_up, scored, tmp_path):
    folder = shutil.copytree(shared_corrupted_dir, tmp_path / 'results')
    result, units = made_up('deit', 'segmentation')
    write_result(folder, result, units, scored=scored('deit', 'segmentation', 0, ('fog',), (2,)))
    plain, units = made_up('clean only', 'segmentation')
    write_result(folder, plain, units)
    found = sorted(tables(folder), key=lambda one: len(one.rows))
    assert [[row.system.label for row in one.rows] for one in found] == [
        ['deit'], ['mae', 'simmim', 'random init'],
    ]  # fmt: skip


def test_scores_without_units_have_no_interval(made_up, scored, tmp_path):
    result, _ = made_up('mae', 'segmentation')
    given = scored('mae', 'segmentation')
    write_result(tmp_path, result, scored=given._replace(rows={}))
    (found,) = tables(tmp_path)
    assert found.rows[0].mean['mIoU'].interval is None
    assert 'Under corruption' in render_page(gather(tmp_path, 't', splits=50))


def test_a_model_that_scores_nothing_has_no_relative_score(made_up, scored, tmp_path):
    result, _ = made_up('mae', 'segmentation')
    nothing = replace(result, metrics=dict.fromkeys(result.metrics, 0.0))
    given = scored('mae', 'segmentation')
    zero = {name: {s: dict.fromkeys(m, 0.0) for s, m in levels.items()}
            for name, levels in given.robustness.scores.items()}  # fmt: skip
    given = given._replace(rows={}, robustness=replace(given.robustness, scores=zero))
    write_result(tmp_path, nothing, scored=given)
    report = gather(tmp_path, 't', splits=50)
    assert not report.sections[0].degradations[0].table.rows[0].relative
    assert '–' in render_markdown(report)[0].split('Under corruption')[1]
    render_page(report)
    render_robustness_csv(report)


def test_scores_of_another_evaluation_are_refused(shared_corrupted_dir, tmp_path):
    folder = shutil.copytree(shared_corrupted_dir, tmp_path / 'results')
    path = next(folder.glob('simmim*.json'))
    content = json.loads(path.read_text())
    content['robustness']['scores']['fog']['1']['mIoU'] += 5
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match='not of one evaluation'):
        tables(folder)


def test_every_format_tells_them(shared_corrupted_dir, tmp_path):
    report = gather(shared_corrupted_dir, 'title', splits=50)
    write_report(report, tmp_path)
    text = (tmp_path / 'report.md').read_text().split('### Under corruption')[1]
    assert 'Frost is drawn' in text and '| snow |' in text and 'rPC' in text
    picture = text.split('](')[1].split(')')[0]
    assert (tmp_path / picture).read_bytes().startswith(b'\x89PNG')
    page = (tmp_path / 'report.html').read_text()
    assert '<h3>Under corruption</h3>' in page and 'over the severity of each' in page
    lines = list(csv.DictReader(io.StringIO((tmp_path / 'robustness.csv').read_text())))
    assert len(lines) == 3 * 3 * (1 + 9 + 1)  # systems, metrics; clean, scorings, mean
    (mean,) = (
        line for line in lines
        if (line['checkpoint'], line['metric'], line['corruption']) == ('mae', 'mIoU', 'mean')
    )  # fmt: skip
    row = next(r for r in report.sections[0].degradations[0].table.rows if r.system.name == 'mae')
    assert float(mean['relative']) == pytest.approx(row.relative['mIoU'].value, abs=1e-5)
    assert float(mean['relative_low']) < float(mean['relative']) < float(mean['relative_high'])


def test_a_report_of_clean_scores_says_nothing_of_it(shared_results_dir, tmp_path):
    write_report(gather(shared_results_dir, 'title', splits=50), tmp_path)
    assert not (tmp_path / 'robustness.csv').exists()
    assert 'Under corruption' not in (tmp_path / 'report.html').read_text()


def test_the_chart_of_all_corruptions_is_stable(made_up, scored, tmp_path):
    name = '_x $\\frac{ <b>'
    for each in (name, 'random init'):
        result, units = made_up(each, 'segmentation')
        given = scored(each, 'segmentation', 0, NAMES, (1, 2, 3, 4, 5))
        write_result(tmp_path, result, units, scored=given)
    (found,) = tables(tmp_path)
    svg = severity_chart(found)
    assert svg == severity_chart(found) and b'<b>' not in svg
    assert severity_chart(found, 'png').startswith(b'\x89PNG')
