"""CIFAR's files, as Python 2 pickled them: the pictures and classes, and no code of a file."""

import pickle

import numpy as np
import pytest

from downstream.classification.data import ClassificationData, describe, train_index, val_index
from downstream.classification.pictures import LabelledPictures
from mim_backbones.errors import UserError

VIEW = {'type': 'CentreView', 'img_size': 32, 'resized': 32}
TEN = ('airplane', 'automobile', 'bird')


def dump(path, content) -> None:
    """In protocol 2; what Python 2 wrote as texts comes back by `encoding` either way."""
    path.write_bytes(pickle.dumps(content, protocol=2))


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (12, 3072), np.uint8)


@pytest.fixture
def ten(tmp_path, pixels):
    for number in range(1, 6):
        rows = pixels[2 * number - 2 : 2 * number]
        dump(tmp_path / f'data_batch_{number}', {'data': rows, 'labels': [number % 3, 2]})
    dump(tmp_path / 'test_batch', {'data': pixels[10:], 'labels': [1, 0]})
    dump(tmp_path / 'batches.meta', {'label_names': list(TEN)})
    return tmp_path


def test_ten_classes_in_five_files(ten, pixels) -> None:
    data = ClassificationData(ten, layout='cifar')
    card = describe(data)
    assert (card.train, card.val, card.classes) == (10, 2, TEN)
    train = train_index(data)
    assert [train.classes[label] for label in train.labels[:4]] == [
        'automobile', 'bird', 'bird', 'bird'
    ]  # fmt: skip
    assert [train.classes[label] for label in val_index(data, TEN).labels] == [
        'automobile', 'airplane'
    ]  # fmt: skip
    found = LabelledPictures(str(ten), 'val', VIEW, layout='cifar')
    np.testing.assert_array_equal(found[1]['inputs'].numpy(), pixels[11].reshape(3, 32, 32))
    assert found[1]['name'] == 'test_batch/1'


def python_2(rows: np.ndarray, labels: list[int]) -> bytes:
    """{'data': rows, 'labels': labels} as Python 2 wrote it: byte strings, opcode by opcode."""
    shape = b''.join(b'M' + int(n).to_bytes(2, 'little') for n in rows.shape) + b'\x86'
    dtype = b'cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ' + b'\xff' * 4 + b'J'
    dtype += b'\xff' * 4 + b'K\x00tb'
    data = b'T' + rows.size.to_bytes(4, 'little') + rows.tobytes()
    array = b'cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R'
    array += b'(K\x01' + shape + dtype + b'\x89' + data + b'tb'
    listed = b'](' + b''.join(b'K' + bytes([n]) for n in labels) + b'e'
    return b'\x80\x02}(U\x04data' + array + b'U\x06labels' + listed + b'u.'


def test_files_of_python_2(ten, pixels) -> None:
    (ten / 'test_batch').write_bytes(python_2(pixels[10:], [2, 0]))
    assert val_index(ClassificationData(ten, layout='cifar'), TEN).labels == [2, 0]
    found = LabelledPictures(str(ten), 'val', VIEW, layout='cifar')
    np.testing.assert_array_equal(found[0]['inputs'].numpy(), pixels[10].reshape(3, 32, 32))


def test_a_hundred_fine_classes(tmp_path, pixels) -> None:
    for name, rows, labels in (('train', pixels[:3], [1, 0, 1]), ('test', pixels[3:5], [0, 1])):
        content = {'data': rows, 'fine_labels': labels, 'coarse_labels': [0] * len(labels)}
        dump(tmp_path / name, content)
    dump(tmp_path / 'meta', {'fine_label_names': ['apple', 'aquarium_fish']})
    train = train_index(ClassificationData(tmp_path, layout='cifar'))
    assert train.labels == [1, 0, 1] and train.files == ['train/0', 'train/1', 'train/2']


def test_the_fingerprint_is_of_the_files(ten) -> None:
    data = ClassificationData(ten, layout='cifar')
    before = describe(data).fingerprint
    dump(ten / 'test_batch', {'data': np.zeros((1, 3072), np.uint8), 'labels': [1]})
    assert describe(data).fingerprint != before


class Evil:
    def __reduce__(self):
        return (print, ('run',))


@pytest.mark.parametrize(
    ('content', 'said'),
    [
        (Evil(), r"test_batch: none of CIFAR's files \(GLOBAL .*print\)"),
        ([1], "none of CIFAR's files"),
        ({'data': np.zeros((1, 3072), np.uint8)}, 'has no labels'),
        (
            {'data': np.zeros((1, 3072)), 'labels': [1]},
            r'1 labels and pixels \(1, 3072\) of float64',
        ),
        (
            {'data': np.zeros((2, 3072), np.uint8), 'labels': [1]},
            r'1 labels and pixels \(2, 3072\)',
        ),
        (
            {'data': np.zeros((1, 3072), np.uint8), 'labels': [7]},
            r'label 7, batches\.meta names 3 classes',
        ),
    ],
)
def test_what_is_none_of_the_files_is_one_line(ten, capsys, content, said) -> None:
    dump(ten / 'test_batch', content)
    with pytest.raises(UserError, match=said) as caught:
        val_index(ClassificationData(ten, layout='cifar'), TEN)
    assert '\n' not in str(caught.value) and not capsys.readouterr().out


def test_a_missing_file_says_where_it_comes_from(tmp_path) -> None:
    with pytest.raises(UserError, match=r'meta is not there; unpack cifar-10-python\.tar\.gz'):
        train_index(ClassificationData(tmp_path, layout='cifar'))
