import pytest

from downstream.report.comparison import compare
from downstream.report.read.groups import group_results
from downstream.report.read.published import COLUMNS, published_rows
from downstream.results.result import Protocol, read_results, write_result
from mim_backbones.errors import UserError

FRAMEWORK = 'UperNet 160k 512x512 single-scale'
ROWS = f"""{','.join(COLUMNS)}
MAE,ViT-Ti/16,IN1K,1600,ade20k_semseg,{FRAMEWORK},mIoU,48.1,paper A
BEiT,ViT-B,IN1K,800,ade20k_semseg,{FRAMEWORK},mIoU,47.1,paper B
MAE,ViT-Ti/16,IN1K,1600,ade20k_semseg,UperNet 160k 640x640,mIoU,50.0,paper C
MAE,ViT-Ti/16,IN1K,1600,in1k_knn,{FRAMEWORK},top1,50.0,paper D
"""


@pytest.fixture
def tables(tmp_path, made_up):
    protocol = Protocol('upernet-160k', '1', 'full', FRAMEWORK)
    write_result(tmp_path / 'r', *made_up('mae', 'segmentation', protocol=protocol))
    write_result(tmp_path / 'r', *made_up('mae', 'tracking'))
    return compare(group_results(read_results(tmp_path / 'r')), resamples=100)


def test_only_rows_of_the_same_framework(tmp_path, tables):
    path = tmp_path / 'published.csv'
    path.write_text(ROWS)
    found = published_rows(path, tables)
    assert [row.source for row in found] == ['paper A', 'paper B']
    here = tables[0].rows[0].scores['mIoU'].value
    assert found[0].difference == pytest.approx(here - 48.1)
    assert found[1].difference is None


def test_without_such_a_protocol_there_is_no_row(tmp_path, tables):
    path = tmp_path / 'published.csv'
    path.write_text(ROWS)
    assert published_rows(path, tables[1:]) == []


def test_a_file_that_is_no_such_table_is_named(tmp_path, tables):
    path = tmp_path / 'published.csv'
    with pytest.raises(UserError, match=r'published\.csv: cannot be read'):
        published_rows(path, tables)
    path.write_text('method,arch\nMAE,ViT-B\n')
    with pytest.raises(UserError, match='no column framework, metric'):
        published_rows(path, tables)
    path.write_text(ROWS.replace('47.1', 'n/a'))
    with pytest.raises(UserError, match=r"published\.csv line 3: value 'n/a'"):
        published_rows(path, tables)
