"""Folders of classes and lists: which pictures there are, of which class, and what is refused."""

import os
import time

import pytest

from downstream.classification.data import ClassificationData, describe, train_index, val_index
from downstream.classification.layouts import folders as module
from mim_backbones.data_spec import load_data_spec
from mim_backbones.errors import UserError


def test_folders_are_classes_in_the_order_of_their_names(folders) -> None:
    root = folders(train={'dog': 2, 'cat': 1, 'ox': 1}, val={'ox': 1, 'cat': 2})
    (root / 'train/cat/readme.txt').write_text('no picture')
    found = train_index(ClassificationData(root))
    assert found.classes == ('cat', 'dog', 'ox')
    assert found.files == [f'train/{one}.JPEG' for one in ('cat/0', 'dog/0', 'dog/1', 'ox/0')]
    assert found.labels == [0, 1, 1, 2]
    val = val_index(ClassificationData(root), found.classes)
    assert val.labels == [0, 0, 2]  # numbers are those of the training classes
    card = describe(ClassificationData(root))
    assert (card.train, card.val, card.classes) == (4, 3, ('cat', 'dog', 'ox'))


def test_lists_name_files_and_classes(folders) -> None:
    root = folders(train={'a b': 2, 'c': 1}, val={'c': 1})
    (root / 'train.txt').write_text('c/0.JPEG 10\n\na b/1.JPEG 2\n')
    (root / 'val.txt').write_text('c/0.JPEG 2\n')
    data = ClassificationData(root, train_list='train.txt', val_list='val.txt')
    found = train_index(data)
    assert found.classes == tuple(map(str, range(11)))  # numbers stand for themselves
    assert list(zip(found.files, found.labels)) == [('train/c/0.JPEG', 10), ('train/a b/1.JPEG', 2)]
    assert val_index(data, found.classes).labels == [2]


@pytest.mark.parametrize(
    ('content', 'said'),
    [
        ('c/0.JPEG\n', 'line 1: expected `PATH CLASS`'),
        ('c/0.JPEG c\nc/7.JPEG c\n', r'line 2: .*c/7.JPEG is not there'),
        ('', 'no JPEG or PNG in'),
    ],
)
def test_a_bad_list_is_named_with_its_line(folders, content, said) -> None:
    root = folders(train={'c': 1}, val={'c': 1})
    (root / 'train.txt').write_text(content)
    with pytest.raises(UserError, match=said):
        train_index(ClassificationData(root, train_list='train.txt'))


def test_a_class_of_val_alone_is_refused(folders) -> None:
    root = folders(train={'cat': 1}, val={'cat': 1, 'dog': 1})
    with pytest.raises(UserError, match=r'has the class dog, which .*train lacks'):
        describe(ClassificationData(root))


def test_the_yaml_names_what_is_missing(folders, tmp_path) -> None:
    folders(train={'cat': 1})
    file = tmp_path / 'data.yaml'
    file.write_text('classification: {root: set}\n')
    with pytest.raises(UserError, match=r'set/val'):
        load_data_spec(file)['classification']


def test_a_long_listing_is_kept_until_a_folder_changes(folders, monkeypatch) -> None:
    root = folders(train={'cat': 3}, val={'cat': 1})
    monkeypatch.setattr(module, 'MANY', 2)
    past = time.time() - 100
    for place in (root / 'train', root / 'train/cat'):
        os.utime(place, (past, past))
    data = ClassificationData(root)
    first = train_index(data)
    with monkeypatch.context() as patch:
        patch.setattr(module, '_pictures', None)  # nothing is listed a second time
        assert train_index(data) == first
    (root / 'train/cat/0.JPEG').unlink()
    assert train_index(data).files == ['train/cat/1.JPEG', 'train/cat/2.JPEG']


def test_the_fingerprint_is_of_pictures_and_lists(folders) -> None:
    root = folders(train={'cat': 2, 'dog': 1}, val={'cat': 1})
    (root / 'list.txt').write_text('cat/0.JPEG cat\n')
    data = ClassificationData(root, train_list='list.txt')
    first = describe(data).fingerprint
    (root / 'list.txt').write_text('cat/1.JPEG cat\n')
    second = describe(data).fingerprint
    (root / 'val/cat/0.JPEG').write_bytes(b'other')
    assert len({first, second, describe(data).fingerprint}) == 3
