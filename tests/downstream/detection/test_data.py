import json
import shutil

import pytest

from downstream.detection import data as module
from downstream.detection.data import DetectionData, describe, read_split
from mim_backbones.errors import UserError

TRAIN = 'annotations/instances_train2017.json'
VAL = 'annotations/instances_val2017.json'


@pytest.fixture
def data(world, tmp_path):
    root = tmp_path / 'coco'
    shutil.copytree(world / 'coco', root)
    return DetectionData(root=root)


def edit(data, name, change):
    path = data.root / name
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def each(key, **values):
    """A change of every entry."""
    return lambda content: [entry.update(values) for entry in content[key]]


def first(key, **values):
    return lambda content: content[key][0].update(values)


def test_card_counts_and_fingerprint(data):
    card = describe(data)
    assert (card.name, card.train, card.val) == ('coco', 8, 4)
    assert describe(data).fingerprint == card.fingerprint
    edit(data, VAL, lambda content: content['annotations'].pop())
    assert describe(data).fingerprint != card.fingerprint


def test_what_must_be_there(data):
    assert all(path.exists() for path in data.wanted())
    assert len(data.wanted()) == 5


def test_a_file_is_parsed_once_until_it_changes(data, monkeypatch):
    read = []
    parse = module.read_json
    monkeypatch.setattr(module, 'read_json', lambda file: read.append(file.name) or parse(file))
    module._read_file.cache_clear()
    card = describe(data)
    assert describe(data).classes == card.classes
    assert len(read) == 2
    edit(data, TRAIN, lambda content: content['images'].pop())
    assert describe(data).train == card.train - 1
    assert len(read) == 3


def test_classes_follow_the_file(data):
    edit(data, TRAIN, lambda content: content['categories'].reverse())
    content = json.loads((data.root / TRAIN).read_text())
    names = tuple(category['name'] for category in content['categories'])
    assert read_split(data.root, 'train2017', TRAIN).classes == names


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda content: content.pop('categories'), "no list 'categories'"),
        (lambda content: content.update(images=[]), 'names no image'),
        (lambda content: content.update(annotations=[]), 'has no annotation'),
        (lambda content: content['images'][0].update(file_name='gone.jpg'), r'gone\.jpg'),
        (lambda content: content['categories'][0].update(name='new'), "lacks: .'new'"),
        (each('annotations', bbox=[5, 5, 0, 9]), 'none of its .* boxes can be used'),
        (each('annotations', bbox=[1000, 5, 9, 9]), 'none of its .* boxes can be used'),
        (each('annotations', iscrowd=1), 'none of its .* boxes can be used'),
        (first('annotations', category_id=99), 'category_id 99, of no category'),
        (first('annotations', image_id='1'), "image_id '1'; ids are integers"),
        (each('annotations', image_id=99), 'none of its .* boxes can be used'),
        (first('annotations', bbox=[1, 2, 3]), 'a box is four numbers'),
        (first('annotations', bbox=[1, 2, float('nan'), 3]), 'bbox holds nan'),
        (first('annotations', area=None), 'area holds None'),
        (first('annotations', segmentation=[]), '1 of .* annotations have no segmentation'),
        (first('images', id='000001'), "image id '000001' is no integer"),
        (first('images', width='wide'), "width holds 'wide'"),
        (first('categories', name=7), 'has name 7, which is no text'),
        (first('annotations', id=2), 'two annotation entries have id 2'),
        (first('categories', id=2), 'two category entries have id 2'),
        (each('categories', name='same'), "two categories called 'same'"),
    ],
)
def test_a_broken_val_split_is_named(data, change, message):
    edit(data, VAL, change)
    with pytest.raises(UserError, match=message):
        describe(data)


@pytest.mark.parametrize('text', ['{"images": [', '[1, 2]'])
def test_no_json_object_is_named(data, text):
    (data.root / VAL).write_text(text)
    with pytest.raises(UserError, match=r'instances_val2017\.json'):
        describe(data)


@pytest.mark.parametrize('names', [(TRAIN, VAL), (VAL,)])
def test_boxes_without_masks_are_trained_and_said(data, names):
    for name in names:
        edit(
            data, name, lambda content: [one.pop('segmentation') for one in content['annotations']]
        )
    (note,) = describe(data).notes
    assert note.startswith('boxes alone')
    assert [name.rpartition('/')[2] in note for name in (TRAIN, VAL)] == [TRAIN in names, True]
