import numpy as np
import pytest

from downstream.tracking.box_text import read_boxes, write_boxes
from mim_backbones.errors import UserError


@pytest.mark.parametrize(
    'text', ['1,2,3,4.5\n5,6,7,8\n', '1\t2\t3\t4.5\n5\t6\t7\t8', '1 2 3 4.5\n5  6 7 8\n\n']
)
def test_comma_tab_and_blank(tmp_path, text):
    (tmp_path / 'boxes.txt').write_text(text)
    assert read_boxes(tmp_path / 'boxes.txt').tolist() == [[1, 2, 3, 4.5], [5, 6, 7, 8]]


def test_round_trip_keeps_three_decimals(tmp_path):
    boxes = np.array([[1.23456, 2, 3, 4], [0, 0, 10.5, 1e3]])
    write_boxes(tmp_path / 'run' / 'car-1.txt', boxes)
    assert (tmp_path / 'run' / 'car-1.txt').read_text().startswith('1.235\t2.000\t3.000\t4.000\n')
    np.testing.assert_allclose(read_boxes(tmp_path / 'run' / 'car-1.txt'), boxes, atol=5e-4)


@pytest.mark.parametrize(
    ('text', 'message'),
    [('', 'empty'), ('1,2,3\n', 'line 1 has 3 values'), ('1,2,3,x\n', 'not a list of boxes')],
)
def test_bad_files_are_named(tmp_path, text, message):
    (tmp_path / 'boxes.txt').write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        read_boxes(tmp_path / 'boxes.txt')
    assert 'boxes.txt' in str(caught.value)


def test_missing_file(tmp_path):
    with pytest.raises(UserError, match=r'none\.txt: cannot be read'):
        read_boxes(tmp_path / 'none.txt')
