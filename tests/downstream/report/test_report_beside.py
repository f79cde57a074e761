import pytest
from click.testing import CliRunner

from downstream.commands.report import report
from downstream.report.comparison import compare
from downstream.report.read.beside import COLUMNS, beside_ours
from downstream.report.read.groups import group_results
from downstream.results.result import read_results, write_result
from mim_backbones.errors import UserError

FIGURES = f"""{','.join(COLUMNS)}
mae,top-1,82.8,read,a README
simmim,top-1,81.7,recalled,a paper
random init,top-1,,,
"""


@pytest.fixture
def results(tmp_path, made_up):
    for name in ('mae', 'random init'):
        write_result(tmp_path / 'r', *made_up(name, 'segmentation'))
    return tmp_path / 'r'


@pytest.fixture
def tables(results):
    return compare(group_results(read_results(results)), resamples=100)


def test_the_figures_in_their_order_with_ours_where_there_are_some(tmp_path, tables):
    path = tmp_path / 'figures.csv'
    path.write_text(FIGURES)
    found = beside_ours(path, tables, note='The rest is unknown.')
    assert found.table.header == (
        'checkpoint', 'reported', 'here: segmentation mIoU', 'source of the reported',
    )  # fmt: skip
    names, figures, ours, sources = zip(*found.table.rows)
    assert names == ('mae', 'simmim', 'random init')
    assert figures == ('82.8 (read)', '81.7 (recalled)', '–')
    assert ours[0].startswith(f'{tables[0].rows[0].scores["mIoU"].value:.1f} [')
    assert ours[1] == '–'
    assert sources == ('a README', 'a paper', '–')
    assert found.legend.startswith('Reported: top-1. None of these was measured here')
    assert 'recalled: from memory of the paper' in found.legend
    assert found.legend.endswith('The rest is unknown.')


def test_it_is_in_the_page_and_in_the_markdown(tmp_path, results):
    path = tmp_path / 'figures.csv'
    path.write_text(FIGURES)
    words = [str(results), '--out', str(tmp_path / 'out'), '--beside', str(path)]
    done = CliRunner().invoke(report, [*words, '--note', 'Of five seeds.', '--resamples', '100'])
    assert done.exit_code == 0, done.output
    for name in ('report.html', 'report.md'):
        text = (tmp_path / 'out' / name).read_text()
        assert 'Reported by the work, beside ours' in text
        assert '81.7 (recalled)' in text
        assert 'Of five seeds.' in text


def test_a_file_that_is_no_such_table_is_named(tmp_path, tables):
    path = tmp_path / 'figures.csv'
    with pytest.raises(UserError, match=r'figures\.csv: cannot be read'):
        beside_ours(path, tables)
    path.write_text('checkpoint,value\nmae,1\n')
    with pytest.raises(UserError, match='no column metric, source, status'):
        beside_ours(path, tables)
    path.write_text(FIGURES.replace('81.7', 'n/a'))
    with pytest.raises(UserError, match=r"figures\.csv line 3: value 'n/a'"):
        beside_ours(path, tables)
    path.write_text(FIGURES.replace('recalled', 'heard'))
    with pytest.raises(UserError, match="line 3: status 'heard'; known: read, recalled"):
        beside_ours(path, tables)
