import json
import shutil
import time

import pytest
from pycocotools import mask

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


def runs(content, counts):
    """Make the first mask a run-length one; counts: pixels of the image -> its counts."""
    annotation = content['annotations'][0]
    image = next(one for one in content['images'] if one['id'] == annotation['image_id'])
    size = [image['height'], image['width']]
    annotation['segmentation'] = {'size': size, 'counts': counts(size[0] * size[1])}


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
        (first('annotations', segmentation=[[1, 2, 3, 4, 5]]), 'annotation 1 has a polygon of 5'),
        (first('annotations', segmentation=[[1, 2, 3, 4]]), 'annotation 1 has a polygon of 2 poin'),
        (first('annotations', segmentation=[[1, 2, 3, 4, 5, float('nan')]]), 'coordinate nan'),
        (first('annotations', segmentation=[[1, 2, 3, 4, 5, float('inf')]]), 'coordinate inf'),
        (first('annotations', segmentation=[[1e308] * 6]), 'coordinate 1e.308'),
        (first('annotations', segmentation=[[1, 2, 3, 4, 5, 10**400]]), 'coordinate 1000'),
        (first('annotations', segmentation=[[1, 2, 3, 4, 5, '6']]), "coordinate '6'"),
        (first('annotations', segmentation=[[1, 2, 3, 4, 5, None]]), 'coordinate None'),
        (first('annotations', segmentation=[1, 2, 3, 4, 5, 6]), 'a polygon that is 1; a segm'),
        (first('annotations', segmentation='polygon'), 'neither polygons nor a run-length mask'),
        (first('annotations', segmentation={'size': [9, 9]}), 'neither polygons nor a run-length'),
        (
            first('annotations', segmentation={'size': [9, 8], 'counts': [72]}),
            'mask of size .9, 8.',
        ),
        (lambda content: runs(content, lambda size: [5, -5, size]), 'neither a text nor numbers'),
        (lambda content: runs(content, lambda size: [size - 1]), 'so that it cannot be decoded'),
        (lambda content: runs(content, lambda size: '0'), 'covers 0 pixels of'),
        (lambda content: runs(content, lambda size: 'PP'), 'mask that is cut off'),
        (lambda content: runs(content, lambda size: '\x00é'), 'mask that cannot be decoded'),
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


@pytest.mark.parametrize('name', [TRAIN, VAL])
def test_whole_run_length_masks_are_taken(data, name):
    def pack(content):
        for annotation in content['annotations']:
            image = next(one for one in content['images'] if one['id'] == annotation['image_id'])
            polygons = annotation['segmentation']
            if isinstance(polygons, dict):  # a few of the synthetic world's are packed already
                continue
            size = image['height'], image['width']
            one = mask.merge(mask.frPyObjects(polygons, *size))
            annotation['segmentation'] = {'size': list(size), 'counts': one['counts'].decode()}

    edit(data, name, pack)
    assert not describe(data).notes


def test_category_ids_may_have_gaps(data):
    before = describe(data).classes
    for name in (TRAIN, VAL):
        edit(data, name, lambda content: [one.update(id=7 * one['id'] + 3)
                                          for one in content['categories']])  # fmt: skip
        edit(data, name, lambda content: [one.update(category_id=7 * one['category_id'] + 3)
                                          for one in content['annotations']])  # fmt: skip
    assert describe(data).classes == before


def test_images_without_annotation_are_counted(data):
    counts = describe(data).train
    edit(data, TRAIN, lambda content: content['annotations'].__delitem__(slice(3, None)))
    assert describe(data).train == counts


def test_annotations_of_another_split_are_called_that(data):
    edit(data, VAL, lambda content: [one.update(file_name=f'train_{one["file_name"]}')
                                     for one in content['images'][1:]])  # fmt: skip
    with pytest.raises(UserError, match=r'3 of 4 images of .*annotations of another split'):
        describe(data)
    shutil.rmtree(data.root / 'val2017')
    (data.root / 'val2017').mkdir()
    with pytest.raises(UserError, match='it has no file: are these'):
        describe(data)


def test_one_missing_image_is_named_with_the_mend(data):
    gone = sorted((data.root / 'train2017').iterdir())[3]
    gone.unlink()
    with pytest.raises(UserError, match=rf'{gone.name}, named in .*, is not there; fetch it, or'):
        describe(data)
    gone.symlink_to('nowhere')
    with pytest.raises(UserError, match=gone.name):
        describe(data)


def test_images_in_folders_below_are_found(data):
    folder = data.root / 'val2017'
    (folder / 'a' / 'b').mkdir(parents=True)
    first_name = sorted(path.name for path in folder.glob('*.*'))[0]
    (folder / first_name).rename(folder / 'a' / 'b' / first_name)

    def rename(content):
        for image in content['images']:
            if image['file_name'] == first_name:
                image['file_name'] = f'a/b/{first_name}'

    edit(data, VAL, rename)
    assert describe(data).val == 4


def test_a_folder_is_listed_once_until_it_changes(data, monkeypatch):
    listed = []
    scan = module.os.scandir
    monkeypatch.setattr(module.os, 'scandir', lambda folder: listed.append(folder) or scan(folder))
    for _ in range(3):
        read_split(data.root, 'train2017', TRAIN)
    assert len(listed) == 1
    time.sleep(0.02)  # a folder's time has the resolution of the clock's ticks
    (data.root / 'train2017' / 'more.jpg').touch()
    read_split(data.root, 'train2017', TRAIN)
    assert len(listed) == 2
