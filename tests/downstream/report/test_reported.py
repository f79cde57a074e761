import numpy as np
import pytest
from click.testing import CliRunner

from downstream.classification.units import ClassificationUnits
from downstream.commands.report import report
from downstream.report.comparison import compare
from downstream.report.read.groups import group_results
from downstream.report.read.reported import (
    BESIDE_COLUMNS,
    PUBLISHED_COLUMNS,
    beside_ours,
    published_rows,
)
from downstream.results.result import Protocol, read_results, write_result
from downstream.task import tasks
from mim_backbones.errors import UserError

FIGURES = f"""{','.join(BESIDE_COLUMNS)}
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
    return compare(group_results(read_results(results)), splits=50)


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


def test_what_was_measured_of_the_rows_is_not_called_reported(tmp_path, tables):
    path = tmp_path / 'figures.csv'
    measured = 'mae,token diversity,0.713,measured,64 images\nrandom init,token diversity,,,\n'
    path.write_text(f'{",".join(BESIDE_COLUMNS)}\n{measured}')
    found = beside_ours(path, tables)
    assert found.table.header == (
        'checkpoint', 'token diversity', 'here: segmentation mIoU', 'measured',
    )  # fmt: skip
    names, figures, _, sources = zip(*found.table.rows)
    assert names == ('mae', 'random init')
    assert (figures, sources) == (('0.713', '–'), ('64 images', '–'))
    assert found.title == 'Token diversity, beside the scores'
    assert found.legend == 'Measured here: token diversity, of what each row learns from.'
    path.write_text(f'{",".join(BESIDE_COLUMNS)}\n{measured}simmim,top-1,81.7,read,a paper\n')
    with pytest.raises(UserError, match='figures measured here and reported ones; give one kind'):
        beside_ours(path, tables)


def test_it_is_in_the_page_and_in_the_markdown(tmp_path, results):
    path = tmp_path / 'figures.csv'
    path.write_text(FIGURES)
    words = [str(results), '--out', str(tmp_path / 'out'), '--beside', str(path)]
    done = CliRunner().invoke(report, [*words, '--note', 'Of five seeds.', '--splits', '50'])
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


FRAMEWORK = 'UperNet 160k 512x512 single-scale'
PUBLISHED = f"""{','.join(PUBLISHED_COLUMNS)}
MAE,ViT-Ti/16,IN1K,1600,ade20k_semseg,{FRAMEWORK},mIoU,48.1,paper A
BEiT,ViT-B,IN1K,800,ade20k_semseg,{FRAMEWORK},mIoU,47.1,paper B
MAE,ViT-Ti/16,IN1K,1600,ade20k_semseg,UperNet 160k 640x640,mIoU,50.0,paper C
MAE,ViT-Ti/16,IN1K,1600,in1k_knn,{FRAMEWORK},top1,50.0,paper D
"""


@pytest.fixture
def full_tables(tmp_path, made_up):
    protocol = Protocol('upernet-160k', '1', 'segmentation', 'full', framework=FRAMEWORK)
    write_result(tmp_path / 'r', *made_up('mae', 'segmentation', protocol=protocol))
    write_result(tmp_path / 'r', *made_up('mae', 'tracking'))
    return compare(group_results(read_results(tmp_path / 'r')), splits=50)


def test_only_rows_of_the_same_framework(tmp_path, full_tables):
    path = tmp_path / 'published.csv'
    path.write_text(PUBLISHED)
    found = published_rows(path, full_tables)
    assert [row.source for row in found] == ['paper A', 'paper B']
    here = full_tables[0].rows[0].scores['mIoU'].value
    assert found[0].difference == pytest.approx(here - 48.1)
    assert found[1].difference is None


def test_without_such_a_protocol_there_is_no_row(tmp_path, full_tables):
    path = tmp_path / 'published.csv'
    path.write_text(PUBLISHED)
    assert published_rows(path, full_tables[1:]) == []


def test_a_file_that_is_no_table_of_published_numbers_is_named(tmp_path, full_tables):
    path = tmp_path / 'published.csv'
    with pytest.raises(UserError, match=r'published\.csv: cannot be read'):
        published_rows(path, full_tables)
    path.write_text('method,arch\nMAE,ViT-B\n')
    with pytest.raises(UserError, match='no column framework, metric'):
        published_rows(path, full_tables)
    path.write_text(PUBLISHED.replace('47.1', 'n/a'))
    with pytest.raises(UserError, match=r"published\.csv line 3: value 'n/a'"):
        published_rows(path, full_tables)


def test_a_changed_protocol_is_not_held_against_published_numbers(tmp_path, made_up):
    protocol = Protocol('upernet-160k', '1', 'segmentation', 'full', framework=FRAMEWORK)
    changes = {'train_cfg.max_iters': 1}
    write_result(
        tmp_path / 'r', *made_up('mae', 'segmentation', protocol=protocol, changes=changes)
    )
    found = compare(group_results(read_results(tmp_path / 'r')), splits=50)
    path = tmp_path / 'published.csv'
    path.write_text(PUBLISHED)
    assert published_rows(path, found) == []


def test_every_published_name_of_a_task_is_found(tmp_path, made_up):
    ranks = ClassificationUnits([str(n) for n in range(40)], np.arange(40) % 9)
    for task in tasks():
        protocol = Protocol('p', '1', task, 'full', framework='F')
        units = ranks if task == 'classification' else None
        write_result(tmp_path / 'r', *made_up('mae', task, units=units, protocol=protocol))
    found = compare(group_results(read_results(tmp_path / 'r')), splits=50)
    names = [name for one in tasks().values() for name in one.published]
    lines = [f'MAE,ViT-Ti/16,IN1K,1600,t,F,{name},50.0,paper' for name in names]
    path = tmp_path / 'published.csv'
    path.write_text('\n'.join([','.join(PUBLISHED_COLUMNS), *lines]))
    rows = published_rows(path, found)
    assert [row.metric for row in rows] == names
    assert all(row.here is not None for row in rows)
