import json
import shutil

import pytest

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


def test_card_counts_and_fingerprint(data):
    card = describe(data)
    assert (card.name, card.train, card.val) == ('coco', 8, 4)
    assert describe(data).fingerprint == card.fingerprint
    edit(data, VAL, lambda content: content['annotations'].pop())
    assert describe(data).fingerprint != card.fingerprint


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
