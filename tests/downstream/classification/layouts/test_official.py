"""Sets that bring lists of their own, tiny copies of each as its authors lay it out."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import loadmat, savemat

from downstream.classification.data import (
    LAYOUTS,
    ClassificationData,
    describe,
    train_index,
    val_index,
)
from downstream.classification.pictures import LabelledPictures
from mim_backbones.data_spec import load_data_spec
from mim_backbones.errors import UserError

VIEW = {'type': 'CentreView', 'img_size': 32}


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new('RGB', (40, 36), (len(path.name) * 7 % 256, 9, 9)).save(path)


def cells(*texts: str) -> np.ndarray:
    """What MATLAB calls a row of cells."""
    row = np.empty((1, len(texts)), object)
    row[0] = texts
    return row


def flowers(root: Path) -> dict:
    for number in range(1, 7):
        picture(root / f'jpg/image_{number:05d}.jpg')
    savemat(root / 'imagelabels.mat', {'labels': np.array([[77, 1, 1, 77, 102, 1]])})
    # the authors call the largest set test
    sets = {'trnid': [[5, 2]], 'valid': [[1]], 'tstid': [[3, 6, 4]]}
    savemat(root / 'setid.mat', {name: np.array(ids) for name, ids in sets.items()})
    return {
        'train': [('jpg/image_00005.jpg', '102'), ('jpg/image_00002.jpg', '001'),
                  ('jpg/image_00001.jpg', '077')],
        'val': [('jpg/image_00003.jpg', '001'), ('jpg/image_00006.jpg', '001'),
                ('jpg/image_00004.jpg', '077')],
    }  # fmt: skip


def pets(root: Path) -> dict:
    rows = ['Abyssinian_100 1 1 1', 'basset_hound_12 2 2 1', '', 'Abyssinian_7 1 1 1']
    lists = {'trainval': rows, 'test': ['basset_hound_9 2 2 1']}
    (root / 'annotations').mkdir()
    for name, lines in lists.items():
        (root / f'annotations/{name}.txt').write_text('\n'.join(['#Image CLASS-ID', *lines]))
        for line in filter(None, lines):
            picture(root / f'images/{line.split()[0]}.jpg')
    return {
        'train': [('images/Abyssinian_100.jpg', 'Abyssinian'),
                  ('images/basset_hound_12.jpg', 'basset_hound'),
                  ('images/Abyssinian_7.jpg', 'Abyssinian')],
        'val': [('images/basset_hound_9.jpg', 'basset_hound')],
    }  # fmt: skip


def cars(root: Path) -> dict:
    (root / 'devkit').mkdir()
    savemat(root / 'devkit/cars_meta.mat', {'class_names': cells('AM General Hummer', 'Acura RL')})
    kind = [('bbox_x1', object), ('class', object), ('fname', object)]
    for split, path, rows in (
        ('train', 'devkit/cars_train_annos.mat', [(39, 2, '00001.jpg'), (1, 1, '00002.jpg')]),
        ('test', 'cars_test_annos_withlabels.mat', [(30, 2, '00001.jpg')]),
    ):
        for row in rows:
            picture(root / f'cars_{split}/{row[2]}')
        savemat(root / path, {'annotations': np.array([rows], kind)})
    return {
        'train': [('cars_train/00001.jpg', 'Acura RL'),
                  ('cars_train/00002.jpg', 'AM General Hummer')],
        'val': [('cars_test/00001.jpg', 'Acura RL')],
    }  # fmt: skip


def aircraft(root: Path) -> dict:
    rows = {'trainval': ['1025794 707-320', '1340192 Boeing 717'], 'test': ['0062765 Boeing 717']}
    (root / 'data').mkdir()
    for name, lines in rows.items():
        (root / f'data/images_variant_{name}.txt').write_text('\n'.join(lines) + '\n')
        for line in lines:
            picture(root / f'data/images/{line.split()[0]}.jpg')
    return {
        'train': [('data/images/1025794.jpg', '707-320'),
                  ('data/images/1340192.jpg', 'Boeing 717')],
        'val': [('data/images/0062765.jpg', 'Boeing 717')],
    }  # fmt: skip


def inat(root: Path) -> dict:
    folder = 'train_val2018/Plantae'
    for split, numbers in (('train', (11, 4)), ('val', (4,))):
        files = [f'{folder}/{category}/{split}.jpg' for category in numbers]
        for file in files:
            picture(root / file)
        content = {
            'images': [{'id': 90 + i, 'file_name': file} for i, file in enumerate(files)],
            'annotations': [{'image_id': 90 + i, 'category_id': c} for i, c in enumerate(numbers)],
        }
        (root / f'{split}2018.json').write_text(json.dumps(content))
    return {
        'train': [(f'{folder}/11/train.jpg', '00011'), (f'{folder}/4/train.jpg', '00004')],
        'val': [(f'{folder}/4/val.jpg', '00004')],
    }


SETS = {one.__name__: one for one in (flowers, pets, cars, aircraft, inat)}


def test_every_layout_is_here() -> None:
    assert set(LAYOUTS) == {*SETS, 'folders', 'cifar'}


@pytest.mark.parametrize('layout', SETS)
def test_its_pictures_and_classes(layout, tmp_path) -> None:
    root = tmp_path / 'set'
    root.mkdir()
    expected = SETS[layout](root)
    (tmp_path / 'data.yaml').write_text(f'classification: {{root: set, layout: {layout}}}\n')
    data = load_data_spec(tmp_path / 'data.yaml')['classification']
    train = train_index(data)
    val = val_index(data, train.classes)
    for split, found in (('train', train), ('val', val)):
        classes = [found.classes[label] for label in found.labels]
        assert list(zip(found.files, classes)) == expected[split]
    assert train.classes == tuple(sorted({name for _, name in expected['train']}))
    card = describe(data)
    assert (card.train, card.val) == (len(expected['train']), len(expected['val']))
    dataset = LabelledPictures(str(root), 'val', VIEW, layout=layout)
    assert [one[0] for one in dataset.rows] == [name for name, _ in expected['val']]
    assert dataset[0]['inputs'].shape == (3, 32, 32)


@pytest.mark.parametrize('layout', SETS)
def test_a_picture_or_a_list_that_is_not_there_is_named(layout, tmp_path) -> None:
    first = SETS[layout](tmp_path)['val'][0][0]
    data = ClassificationData(tmp_path, layout=layout)
    classes = train_index(data).classes
    (tmp_path / first).unlink()
    with pytest.raises(UserError, match=f'{first} is not there, though val lists it'):
        val_index(data, classes)
    for path in tmp_path.rglob('*'):
        if path.suffix in ('.mat', '.txt', '.json'):
            path.unlink()
    with pytest.raises(UserError, match=r'is not there|0 files train') as caught:
        train_index(data)
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize('layout', SETS)
def test_the_fingerprint_is_of_lists_and_pictures(layout, tmp_path) -> None:
    SETS[layout](tmp_path)
    data = ClassificationData(tmp_path, layout=layout)
    before = describe(data).fingerprint
    assert describe(data).fingerprint == before
    if layout != 'inat':
        next(tmp_path.rglob('*.jpg')).write_bytes(b'another size')
        assert describe(data).fingerprint != before
        before = describe(data).fingerprint
    path = {'flowers': 'imagelabels.mat', 'pets': 'annotations/test.txt', 'inat': 'val2018.json',
            'cars': 'devkit/cars_meta.mat', 'aircraft': 'data/images_variant_test.txt'}  # fmt: skip
    own = tmp_path / path[layout]
    if own.suffix == '.mat':
        own_values = {k: v for k, v in loadmat(own).items() if not k.startswith('_')}
        savemat(own, {**own_values, 'more': 1})
    else:
        own.write_text(f'{own.read_text()}\n')
    assert describe(data).fingerprint != before


@pytest.mark.parametrize(
    ('layout', 'file', 'content', 'said'),
    [
        ('flowers', 'setid.mat', b'none', r'setid\.mat: cannot be read'),
        ('pets', 'annotations/trainval.txt', b'Abyssinian_100 1\n', 'line 1: expected 4 words'),
        ('aircraft', 'data/images_variant_trainval.txt', b'12\n', 'line 1: expected 2 words'),
        ('inat', 'train2018.json', b'{}', r"train2018\.json: none of iNaturalist's files"),
        ('inat', 'train2019.json', b'{}', r'2 files train\*\.json; leave one year'),
    ],
)
def test_a_broken_list_is_one_line(layout, file, content, said, tmp_path) -> None:
    SETS[layout](tmp_path)
    (tmp_path / file).write_bytes(content)
    with pytest.raises(UserError, match=said):
        train_index(ClassificationData(tmp_path, layout=layout))


def test_cars_without_labels_of_the_test_pictures(tmp_path) -> None:
    cars(tmp_path)
    rows = np.array([[(1, '00001.jpg')]], [('bbox_x1', object), ('fname', object)])
    savemat(tmp_path / 'cars_test_annos_withlabels.mat', {'annotations': rows})
    with pytest.raises(UserError, match='has no classes; take the file with labels'):
        val_index(ClassificationData(tmp_path, layout='cars'), ())


def test_an_unknown_layout_names_those_there_are(tmp_path) -> None:
    with pytest.raises(UserError, match=r"layout 'food'; known: folders, cifar, flowers"):
        train_index(ClassificationData(tmp_path, layout='food'))
