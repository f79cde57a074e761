import numpy as np
import pytest

from downstream.tracking.data import LasotSequences, check_split, read_sequence, read_sequences
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


@pytest.mark.parametrize(
    ('spoil', 'message'),
    [
        (lambda f: (f / 'groundtruth.txt').unlink(), r'groundtruth\.txt: cannot be read'),
        (lambda f: (f / 'out_of_view.txt').unlink(), r'out_of_view\.txt: cannot be read'),
        (lambda f: (f / 'full_occlusion.txt').write_text('0,0'), 'expected 12 values 0 or 1'),
        (lambda f: (f / 'full_occlusion.txt').write_text('0,' * 11 + '2'), '0 or 1'),
        (lambda f: (f / 'img' / '00000012.jpg').unlink(), r'00000012\.jpg: no such frame'),
        (lambda f: (f / 'groundtruth.txt').write_text('1,1,0,0\n' * 12), 'first box is empty'),
    ],
)
def test_broken_sequence(make_lasot, spoil, message):
    root = make_lasot(train=1, test=1)
    spoil(root / 'cube' / 'cube-1')
    with pytest.raises(UserError, match=message) as caught:
        read_sequence(root, 'cube-1')
    assert str(root / 'cube' / 'cube-1') in str(caught.value)


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
