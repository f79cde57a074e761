"""Further test sets in the formats of a report."""

import numpy as np
import pytest

from downstream.report.comparison import compare
from downstream.report.content import gather
from downstream.report.formats.markdown import render_markdown
from downstream.report.formats.shift_text import table_of
from downstream.report.formats.write import render_page
from downstream.report.read.groups import group_results
from downstream.report.shifts import shift_table
from downstream.results.result import read_results, write_result
from downstream.results.robustness import Robustness, Scored

FOUND = {0: {'imagenet-r': {'mIoU': 30.0}, 'v2': {'mIoU': 50.0}}, 1: {'imagenet-r': {'mIoU': 34.0}}}


@pytest.fixture
def folder(made_up, tmp_path):
    """Two trainings of one system, of which one was not scored on v2; another system without."""
    for seed, shifts in FOUND.items():
        result, units = made_up('simmim', 'segmentation', seed)
        scored = Scored(Robustness({}, 'drawn', 1, shifts=shifts), {})
        write_result(tmp_path / 'results', result, units, scored=scored)
    result, units = made_up('mae', 'segmentation')
    write_result(tmp_path / 'results', result, units)
    return tmp_path / 'results'


def test_means_and_deviations_by_hand(folder):
    (table,) = compare(group_results(read_results(folder)), splits=20)
    found = shift_table(table)
    assert found.sets == ('imagenet-r', 'v2') and [r.system.label for r in found.rows] == ['simmim']
    (row,) = found.rows
    assert row.values['imagenet-r', 'mIoU'] == (32.0, pytest.approx(2 * np.sqrt(2)))
    cells = table_of(found).rows[0]
    assert (cells[0], *cells[3:]) == ('simmim', '32.00 seeds ± 2.83', '–', '2')


def test_it_stands_in_page_and_text(folder):
    report = gather(folder, 'title', splits=20)
    text = render_markdown(report)[0]
    assert '### Further test sets' in text and '| 32.00 seeds ± 2.83 |' in text
    assert '### Under corruption' not in text  # nothing was
    page = render_page(report)
    assert 'Further test sets' in page and '32.00 seeds ± 2.83' in page
