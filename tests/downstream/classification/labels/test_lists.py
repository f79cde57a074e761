"""Lists of labelled pictures: as published, written and read back."""

import pytest

from downstream.classification.labels.lists import read_list, write_list
from mim_backbones.errors import UserError

FILES = ['n01/n01_5.JPEG', 'n01/n01_7.JPEG', 'n02/n02_1.JPEG']


def test_a_list_is_a_file_name_a_line_and_is_read_back(tmp_path) -> None:
    path = tmp_path / 'lists' / 'some.txt'
    write_list(path, FILES, [0, 2])
    assert path.read_text() == 'n01_5.JPEG\nn02_1.JPEG\n'  # as SimCLR's 1percent.txt
    assert read_list(path, FILES).tolist() == [0, 2]
    path.write_text('n02_1.JPEG\n\nn01/n01_5.JPEG\nn02_1.JPEG\n')
    assert read_list(path, FILES).tolist() == [0, 2]


def test_names_of_two_classes_are_told_apart(tmp_path) -> None:
    files = ['cat/0.JPEG', 'dog/0.JPEG', 'dog/1.JPEG']
    path = tmp_path / 'some.txt'
    write_list(path, files, [1, 2])
    assert path.read_text() == 'dog/0.JPEG\ndog/1.JPEG\n'
    assert read_list(path, files).tolist() == [1, 2]
    path.write_text('1.JPEG\n0.JPEG\n')
    with pytest.raises(UserError, match=r'line 2: 2 training pictures are called 0\.JPEG; write'):
        read_list(path, files)


def test_what_is_no_list_is_refused(tmp_path) -> None:
    path = tmp_path / 'some.txt'
    with pytest.raises(UserError, match='cannot be read'):
        read_list(path, FILES)
    path.write_text('\n')
    with pytest.raises(UserError, match='names no picture'):
        read_list(path, FILES)
    path.write_text('n01_5.JPEG\nn01_6.JPEG\n')
    with pytest.raises(UserError, match=r'line 2: no training picture is called n01_6\.JPEG'):
        read_list(path, FILES)
