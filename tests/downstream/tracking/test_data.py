import numpy as np
import pytest

from downstream.tracking.data import (
    TrackingData,
    check_split,
    describe,
    read_boxes,
    read_sequence,
    read_sequences,
)
from downstream.tracking.scoring.frame_errors import frame_errors
from downstream.tracking.sequences import LasotSequences
from mim_backbones.data_spec import load_data_spec
from mim_backbones.errors import UserError


def test_sequences_of_a_list(make_lasot):
    root = make_lasot(train=2, test=1)
    (root / 'cube' / 'cube-1' / 'full_occlusion.txt').write_text('0,1,0,0,0,0,0,0,0,0,0,0')
    (root / 'cube' / 'cube-1' / 'out_of_view.txt').write_text('0,0,1,0,0,0,0,0,0,0,0,0\n')
    first, second = read_sequences(root, 'training_set.txt')
    assert (first.name, len(first), second.name) == ('cube-1', 12, 'cube-2')
    assert np.flatnonzero(~first.visible).tolist() == [1, 2]
    assert first.read_frame(11).shape == (72, 96, 3)
    x, y, w, h = first.boxes[3].astype(int).tolist()
    assert first.read_frame(3)[y + h // 2, x + w // 2].argmax() == 0  # RGB: the square is red-most
    assert len(LasotSequences(str(root))) == 1


def test_tested_sequences_come_longest_first(make_lasot):
    root = make_lasot(train=1, test=3)
    for number, keep in ((1, 5), (2, 9), (3, 9)):
        folder = root / 'tile' / f'tile-{number}'
        lines = (folder / 'groundtruth.txt').read_text().splitlines()[:keep]
        (folder / 'groundtruth.txt').write_text('\n'.join(lines))
        for flags in ('full_occlusion.txt', 'out_of_view.txt'):
            (folder / flags).write_text(','.join(['0'] * keep))
    found = LasotSequences(str(root)).sequences
    assert [one.name for one in found] == ['tile-2', 'tile-3', 'tile-1']


def test_card_and_what_must_be_there(make_lasot):
    root = make_lasot(train=2, test=1)
    data = TrackingData(root)
    assert all(path.exists() for path in data.wanted())
    card = describe(data)
    assert (card.train, card.val) == (2, 1)
    (root / 'tile' / 'tile-1' / 'nlp.txt').write_text('a tile')
    assert describe(data).fingerprint != card.fingerprint


@pytest.mark.parametrize(
    ('spoil', 'message'),
    [
        (lambda f: (f / 'groundtruth.txt').unlink(), r'groundtruth\.txt: cannot be read'),
        (lambda f: (f / 'out_of_view.txt').unlink(), r'out_of_view\.txt: cannot be read'),
        (lambda f: (f / 'full_occlusion.txt').write_text('0,0'), 'expected 12 values 0 or 1'),
        (lambda f: (f / 'full_occlusion.txt').write_text('0,' * 11 + '2'), '0 or 1'),
        (lambda f: (f / 'img' / '00000012.jpg').unlink(), r'00000012\.jpg: no such frame'),
        (lambda f: (f / 'groundtruth.txt').write_text('1,1,0,0\n' * 12), 'first box is empty'),
        (
            lambda f: (f / 'groundtruth.txt').write_text('1,1,9,9\n' * 5 + 'nan,1,9,9\n' * 7),
            'line 6 is no box',
        ),
        (lambda f: (f / 'img' / '00000005.jpg').unlink(), r'00000005\.jpg: no such frame'),
    ],
)
def test_broken_sequence(make_lasot, spoil, message):
    root = make_lasot(train=1, test=1)
    spoil(root / 'cube' / 'cube-1')
    with pytest.raises(UserError, match=message) as caught:
        read_sequence(root, 'cube-1')
    assert str(root / 'cube' / 'cube-1') in str(caught.value)


def test_an_absent_frame_needs_no_box(make_lasot):
    folder = make_lasot(train=1, test=1) / 'cube' / 'cube-1'
    (folder / 'groundtruth.txt').write_text('1,1,9,9\n' * 5 + 'nan,nan,nan,nan\n' * 7)
    (folder / 'out_of_view.txt').write_text(','.join('0' * 5 + '1' * 7))
    sequence = read_sequence(folder.parent.parent, 'cube-1')
    assert sequence.visible.tolist() == [True] * 5 + [False] * 7
    assert (sequence.boxes[5:] == 0).all()
    frame_errors(np.ones((12, 4)), sequence.boxes, sequence.visible)  # can be scored


def test_missing_root_list_and_folder(tmp_path):
    with pytest.raises(UserError, match='nowhere: no such folder'):
        read_sequences(tmp_path / 'nowhere', 'training_set.txt')
    with pytest.raises(UserError, match=r'training_set\.txt: cannot be read'):
        read_sequences(tmp_path, 'training_set.txt')
    (tmp_path / 'training_set.txt').write_text('car-7\n')
    with pytest.raises(UserError, match='car/car-7: no such folder'):
        read_sequences(tmp_path, 'training_set.txt')
    (tmp_path / 'training_set.txt').write_text('\n')
    with pytest.raises(UserError, match='names no sequence'):
        read_sequences(tmp_path, 'training_set.txt')


def test_no_test_sequence_in_training(make_lasot):
    root = make_lasot(train=2, test=1)
    check_split(root, 'training_set.txt', 'testing_set.txt')
    (root / 'testing_set.txt').write_text('tile-1\ncube-2\n')
    with pytest.raises(UserError, match=r'1 test sequences .*cube-2'):
        check_split(root, 'training_set.txt', 'testing_set.txt')


def test_unreadable_frame_is_named(make_lasot):
    root = make_lasot(train=1, test=1)
    (root / 'cube' / 'cube-1' / 'img' / '00000002.jpg').write_bytes(b'no image')
    with pytest.raises(UserError, match=r'00000002\.jpg'):
        read_sequence(root, 'cube-1').read_frame(1)


def test_real_sequences(shared):
    root = shared / 'data' / 'sot_small'
    check_split(root, 'training_set.txt', 'testing_set.txt')
    train = read_sequences(root, 'training_set.txt')
    test = read_sequences(root, 'testing_set.txt')
    assert (len(train), len(test)) == (10, 4)
    for sequence in train + test:
        height, width = sequence.read_frame(len(sequence) - 1).shape[:2]
        x, y, w, h = sequence.boxes[-1]
        assert sequence.visible.all()
        assert 0 <= x + w / 2 <= width
        assert 0 <= y + h / 2 <= height


@pytest.mark.parametrize(
    'text', ['1,2,3,4.5\n5,6,7,8\n', '1\t2\t3\t4.5\n5\t6\t7\t8', '1 2 3 4.5\n5  6 7 8\n\n']
)
def test_comma_tab_and_blank(tmp_path, text):
    (tmp_path / 'boxes.txt').write_text(text)
    assert read_boxes(tmp_path / 'boxes.txt').tolist() == [[1, 2, 3, 4.5], [5, 6, 7, 8]]


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


def test_other_training_sets_are_found_beside_the_yaml(make_lasot, tmp_path):
    make_lasot(train=1, test=1)
    file = tmp_path / 'mine.yaml'
    file.write_text('tracking: {root: ., synthetic: world/lasot}\n')
    with pytest.raises(UserError, match='world/lasot is not there'):
        load_data_spec(file)['tracking']
    (tmp_path / 'world' / 'lasot').mkdir(parents=True)
    data = load_data_spec(file)['tracking']
    assert data.synthetic == tmp_path / 'world' / 'lasot'
    assert data.got10k is None
