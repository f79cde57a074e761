"""Result files as other tools write and read them, there and back."""

import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from downstream.tracking.formats.layouts import (
    LAYOUTS,
    TrackRecord,
    find_layout,
    read_tracks,
    write_tracks,
)
from downstream.tracking.formats.rows import boxes_text, numbers_text, read_numbers
from mim_backbones.errors import UserError

BOXES = np.array([[1.23456, -2.9, 3, 4], [0, 0, 10.5, 1e3]])
TIMES = np.array([0.25, 0.125])


def target_of(folder, layout):
    return folder / ('run.zip' if layout.zipped else 'run')


def contents(target):
    if target.is_file():
        with zipfile.ZipFile(target) as archive:
            return {name: archive.read(name).decode() for name in archive.namelist()}
    return {
        path.relative_to(target).as_posix(): path.read_text()
        for path in target.rglob('*')
        if path.is_file()
    }


COMMAS = '1.235,-2.900,3.000,4.000\n0.000,0.000,10.500,1000.000\n'
FOLDERED = {'car-1/car-1_001.txt': COMMAS, 'car-1/car-1_time.txt': '0.25000000\n0.12500000\n'}
WRITTEN = {
    'pytracking': {
        'car-1.txt': COMMAS.replace(',', '\t'),
        'car-1_time.txt': '0.25000000\n0.12500000\n',
        'car-1_object_presence_scores.txt': '1.000000\n0.500000\n',
    },
    'got10k': FOLDERED,
    'got10k-server': FOLDERED,
    'trackingnet': {'car-1.txt': COMMAS},
}


@pytest.mark.parametrize('layout', LAYOUTS, ids=lambda layout: layout.name)
def test_every_layout_there_and_back(tmp_path, layout):
    target = target_of(tmp_path, layout)
    results = TrackRecord([BOXES], [TIMES], np.array([1, 0.5]))
    write_tracks(target, {'car-1': results}, layout)
    assert contents(target) == WRITTEN[layout.name]
    found = read_tracks(target, ['car-1'])['car-1']
    np.testing.assert_allclose(found.boxes, [BOXES], atol=5e-4)
    assert [each.tolist() for each in found.times] == ([TIMES.tolist()] if layout.timed else [])
    assert (found.scores is not None) == (layout.name == 'pytracking')


@pytest.mark.parametrize('layout', LAYOUTS, ids=lambda layout: layout.name)
def test_whole_pixels_are_truncated_toward_zero(tmp_path, layout):
    target = target_of(tmp_path, layout)
    write_tracks(target, {'car-1': TrackRecord([BOXES])}, layout, whole_pixels=True)
    (found,) = read_tracks(target, ['car-1'])['car-1'].boxes
    assert found.tolist() == [[1, -2, 3, 4], [0, 0, 10, 1000]]
    assert '.' not in contents(target)[layout.box_file('car-1')]


def test_repetitions_have_a_file_and_a_column_each(tmp_path):
    runs = [BOXES + number for number in range(3)]
    times = [TIMES * (1 + number) for number in range(3)]
    write_tracks(tmp_path, {'a': TrackRecord(runs, times)}, find_layout('got10k'))
    assert sorted(contents(tmp_path)) == [
        'a/a_001.txt', 'a/a_002.txt', 'a/a_003.txt', 'a/a_time.txt',
    ]  # fmt: skip
    assert (tmp_path / 'a/a_time.txt').read_text().splitlines()[1] == (
        '0.12500000,0.25000000,0.37500000'
    )
    found = read_tracks(tmp_path, ['a'])['a']
    np.testing.assert_allclose(found.boxes, runs, atol=5e-4)
    np.testing.assert_allclose(found.times, times)
    with pytest.raises(UserError, match='pytracking has one run a sequence, a 3'):
        write_tracks(tmp_path, {'a': TrackRecord(runs)}, find_layout('pytracking'))


def test_the_same_results_give_the_same_archive(tmp_path):
    for name in ('one', 'two'):
        write_tracks(
            tmp_path / f'{name}.zip', {'b': TrackRecord([BOXES])}, find_layout('trackingnet')
        )
    assert (tmp_path / 'one.zip').read_bytes() == (tmp_path / 'two.zip').read_bytes()


@pytest.mark.parametrize('separator', [',', '\t', ' ', '   '])
def test_files_of_other_tools(tmp_path, separator):
    (tmp_path / 'a.txt').write_text(separator.join('1234') + '\r\n' + separator.join('5678'))
    assert read_tracks(tmp_path, ['a'])['a'].boxes[0].tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.floats(-1e5, 1e5), min_size=4, max_size=4), min_size=1, max_size=5))
def test_three_decimals_are_kept(rows):
    lines = boxes_text(np.array(rows), ',').splitlines()
    found = [[float(value) for value in line.split(',')] for line in lines]
    np.testing.assert_allclose(found, rows, atol=5.01e-4)


# ------------------------------------------------------------------ what is no results


def test_missing_sequences_are_counted_and_the_first_named(tmp_path):
    write_tracks(tmp_path, {'a': TrackRecord([BOXES])}, find_layout('pytracking'))
    with pytest.raises(UserError, match=r'b\.txt is not there \(2 of 3 sequences are missing\)'):
        read_tracks(tmp_path, ['a', 'b', 'c'])
    write_tracks(
        tmp_path / 'z.zip', {n: TrackRecord([BOXES]) for n in 'ab'}, find_layout('got10k-server')
    )
    with pytest.raises(UserError, match=r'z\.zip/c/c_001\.txt is not there \(1 of 3'):
        read_tracks(tmp_path / 'z.zip', ['a', 'b', 'c'])


@pytest.mark.parametrize(
    ('file', 'text', 'message'),
    [
        ('a.txt', '1,2,3\n', r'a\.txt: line 1 has 3 values'),
        ('a.txt', '', r'a\.txt: empty'),
        ('a.txt', '1,2,3,x\n', r'a\.txt: not a list of boxes'),
        ('a_time.txt', '0.1\n0.2,0.3\n', r'a_time\.txt: expected as many numbers'),
        ('a_time.txt', 'fast\nslow\n', r'a_time\.txt: not a list of numbers'),
        ('a_object_presence_scores.txt', '0.5\n', r'1 scores for 2 boxes'),
        ('a_object_presence_scores.txt', '0.5\nnan\n', r'a finite number for each'),
    ],
)
def test_broken_files_are_named(tmp_path, file, text, message):
    write_tracks(tmp_path, {'a': TrackRecord([BOXES])}, find_layout('pytracking'))
    (tmp_path / file).write_text(text)
    with pytest.raises(UserError, match=message):
        read_tracks(tmp_path, ['a'])


def test_what_is_no_archive(tmp_path):
    (tmp_path / 'a.txt').write_text('1,2,3,4\n')
    with pytest.raises(UserError, match=r'a\.txt: neither a folder nor a zip'):
        read_tracks(tmp_path / 'a.txt', ['a'])
    with pytest.raises(UserError, match=r'name it FILE\.zip'):
        write_tracks(tmp_path / 'out', {'a': TrackRecord([BOXES])}, find_layout('trackingnet'))
    with pytest.raises(UserError, match='known: pytracking, got10k'):
        find_layout('otb')


def test_a_damaged_archive(tmp_path):
    path = tmp_path / 'r.zip'
    write_tracks(path, {'a': TrackRecord([BOXES] * 1)}, find_layout('trackingnet'))
    content = bytearray(path.read_bytes())
    content[40:44] = b'\xff' * 4
    path.write_bytes(bytes(content))
    with pytest.raises(UserError, match=r'r\.zip/a\.txt: cannot be read'):
        read_tracks(path, ['a'])


def test_columns_of_numbers():
    columns = [np.array([1.0, 2]), np.array([3.0, 4])]
    found = read_numbers(numbers_text(columns, 3), 'here')
    assert [column.tolist() for column in found] == [[1, 2], [3, 4]]
