"""Training sets of each layout, written by hand: what is read, refused, kept and read anew."""

import json
import os

import cv2
import numpy as np
import pytest
from torch.utils.data import DataLoader

from downstream.tracking.pairs import TrackingPairs
from downstream.tracking.sets import index as module
from downstream.tracking.sets.coco import CocoSet
from downstream.tracking.sets.got10k import Got10kSet
from downstream.tracking.sets.index import read_index
from downstream.tracking.sets.lasot import LasotSet
from downstream.tracking.sets.source import open_source
from downstream.tracking.sets.trackingnet import TrackingNetSet
from mim_backbones.errors import UserError
from tests.downstream.tracking.conftest import lasot, write_lasot

SMALL = {'template_size': 32, 'search_size': 64, 'min_frames': 5, 'length': 64}
BOXES = [(4 + index, 6, 20, 10.5) for index in range(8)]


def write_frames(folder, names):
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for name in names:
        cv2.imwrite(str(folder / name), rng.integers(0, 255, (48, 64, 3), np.uint8))


def rows(boxes):
    return ''.join(f'{",".join(map(str, box))}\n' for box in boxes)


@pytest.fixture
def got10k(tmp_path):
    """Videos 4, 5 and 6, the first of which VOT forbids; in the second the target hides."""
    root = tmp_path / 'got10k'
    names = [f'GOT-10k_Train_{number:06d}' for number in (4, 5, 6)]
    for name in names:
        folder = root / 'train' / name
        write_frames(folder, [f'{number:08d}.jpg' for number in range(1, 9)])
        (folder / 'groundtruth.txt').write_text(rows(BOXES))
        (folder / 'absence.label').write_text('0\n' * 8)
        (folder / 'cover.label').write_text('8\n' * 8)
    hidden = root / 'train' / names[1]
    (hidden / 'absence.label').write_text('0\n1\n' + '0\n' * 6)
    (hidden / 'cover.label').write_text('8\n8\n0\n' + '1\n' * 5)
    (root / 'train' / 'list.txt').write_text('\n'.join(names))
    return root


@pytest.fixture
def trackingnet(tmp_path):
    root = tmp_path / 'trackingnet'
    for chunk, video in ((0, 'b'), (0, 'a'), (1, 'c')):
        folder = root / f'TRAIN_{chunk}'
        write_frames(folder / 'frames' / video, [f'{number}.jpg' for number in range(12)])
        (folder / 'anno').mkdir(exist_ok=True)
        boxes = [(4 + index, 6, 20, 0 if index == 3 else 10) for index in range(12)]
        (folder / 'anno' / f'{video}.txt').write_text(rows(boxes))
    return root


@pytest.fixture
def coco(tmp_path):
    """Two objects and a crowd in two pictures; a thin line."""
    root = tmp_path / 'coco'
    write_frames(root / 'train2017', ['a{1}.jpg', 'b.jpg'])
    (root / 'annotations').mkdir()
    objects = [(7, 1, [2, 3, 30, 20], 0), (8, 2, [1, 1, 9, 9], 1), (9, 2, [5, 5, 12.5, 8], 0),
               (10, 2, [5, 5, 12, 0], 0)]  # fmt: skip
    content = {
        'images': [{'id': 1, 'file_name': 'a{1}.jpg'}, {'id': 2, 'file_name': 'b.jpg'}],
        'annotations': [
            {'id': id_, 'image_id': image, 'bbox': box, 'iscrowd': crowd}
            for id_, image, box, crowd in objects
        ],
    }
    (root / 'annotations' / 'instances_train2017.json').write_text(json.dumps(content))
    return root


def test_got10k_sees_what_is_neither_absent_nor_covered(got10k):
    index = read_index(Got10kSet(str(got10k), split='all'))
    assert [index[number].name[-1] for number in range(3)] == ['4', '5', '6']
    hidden = index[1]
    assert hidden.visible.tolist() == [True, False, False] + [True] * 5
    assert hidden.boxes[2].tolist() == [6, 6, 20, 10.5]
    assert hidden.frame_path(0).name == '00000001.jpg'
    assert hidden.read_frame(7).shape == (48, 64, 3)


def test_got10k_splits_by_the_number_in_the_name_or_as_published(got10k):
    kept = {split: Got10kSet(str(got10k), split).names() for split in ('vot', 'vot-published')}
    assert [name[-1] for name in kept['vot']] == ['5', '6']
    # Published: place 4 of the list, which is video 5, is left out in the name of video 4.
    assert '5' not in [name[-1] for name in kept['vot-published']]


def test_the_published_splits_are_as_large_as_published(tmp_path):
    (tmp_path / 'train').mkdir()
    names = [f'GOT-10k_Train_{number:06d}' for number in range(1, 9336)]
    (tmp_path / 'train' / 'list.txt').write_text('\n'.join(names))
    sizes = {split: len(Got10kSet(str(tmp_path), split).names()) for split in
             ('all', 'vot', 'vot-published')}  # fmt: skip
    assert sizes == {'all': 9335, 'vot': 8335, 'vot-published': 7086}


def test_trackingnet_counts_frames_from_zero(trackingnet):
    index = read_index(TrackingNetSet(str(trackingnet), chunks=(0, 1)))
    assert [index[i].name for i in range(3)] == ['TRAIN_0/a', 'TRAIN_0/b', 'TRAIN_1/c']
    video = index[2]
    assert video.frame_path(11) == trackingnet / 'TRAIN_1' / 'frames' / 'c' / '11.jpg'
    assert np.flatnonzero(~video.visible).tolist() == [3]


def test_a_chunk_that_is_missing_is_named(trackingnet):
    with pytest.raises(UserError, match=r'TRAIN_2/anno: no video; .*chunks='):
        TrackingNetSet(str(trackingnet)).names()


def test_coco_pairs_an_object_with_itself(coco):
    index = read_index(CocoSet(str(coco)))
    assert [index[i].name for i in range(3)] == ['7', '9', '10']
    assert index[0].frame_path(0).name == 'a{1}.jpg'
    assert index[1].boxes.tolist() == [[5, 5, 12.5, 8]]
    said = {'name': 'coco', 'root': str(coco)}
    assert open_source(said, 20, 5).kept.tolist() == [0, 1]  # a line has no area
    pairs = TrackingPairs([said], augment={'gray': 0, 'flip': 0, 'branch_flip': 0}, **SMALL)
    pair = pairs[0]
    assert pair['inputs']['template'].shape == (3, 32, 32)
    centre = pair['template_boxes'][:2] + pair['template_boxes'][2:] / 2
    assert centre.tolist() == pytest.approx([0.5, 0.5], abs=0.05)


def test_test_videos_are_refused(got10k, trackingnet, tmp_path):
    (got10k / 'val').mkdir()
    (got10k / 'val' / 'list.txt').write_text('GOT-10k_Val_000001\nGOT-10k_Train_000006\n')
    with pytest.raises(UserError, match=r'names 1 of the val split \(GOT-10k_Train_000006\)'):
        Got10kSet(str(got10k)).check()
    (got10k / 'train' / 'list.txt').write_text('GOT-10k_Test_000001\n')
    with pytest.raises(UserError, match='GOT-10k_Test_000001 is no training video'):
        Got10kSet(str(got10k)).names()
    (trackingnet / 'TEST' / 'anno').mkdir(parents=True)
    (trackingnet / 'TEST' / 'anno' / 'c.txt').write_text('1,2,3,4\n')
    with pytest.raises(UserError, match=r'1 test videos are in training chunks \(TRAIN_1/c\)'):
        TrackingNetSet(str(trackingnet), chunks=(0, 1)).check()


def test_what_another_set_tests_on_is_refused(lasot_root):
    turned = {'name': 'synthetic', 'root': f'{lasot_root}/.', 'train_list': 'testing_set.txt',
              'test_list': None}  # fmt: skip
    with pytest.raises(UserError, match='tile-1 is a test sequence of another training set'):
        TrackingPairs([*lasot(lasot_root), turned], **SMALL)


def test_sets_are_drawn_by_their_ratio(tmp_path):
    sets = []
    for name, ratio in (('lasot', 1), ('synthetic', 3)):
        root = write_lasot(tmp_path / name, train=2, test=1, frames=8)
        sets.append({'name': name, 'root': str(root), 'ratio': ratio})
    pairs = TrackingPairs(sets, **SMALL)
    drawn = []
    pairs.reader.read = lambda sequence, frame: drawn.append(sequence.folder.parts[-3])
    for index in range(2000):
        assert pairs._draw(np.random.default_rng([0, index])) is None  # no picture, no pair
    # 2000 coins: a deviation of 19
    assert drawn.count('synthetic') == pytest.approx(1500, abs=80)


def test_workers_draw_the_same_pairs(got10k, coco):
    sets = [{'name': 'got10k', 'root': str(got10k)}, {'name': 'coco', 'root': str(coco)}]
    pairs = TrackingPairs(sets, **SMALL)
    alone, shared = (
        list(DataLoader(pairs, batch_size=8, num_workers=workers)) for workers in (0, 2)
    )
    for ours, theirs in zip(alone, shared, strict=True):
        assert (ours['boxes'] == theirs['boxes']).all()
        assert (ours['inputs']['search'] == theirs['inputs']['search']).all()


def test_every_missing_file_is_named(tmp_path):
    root = write_lasot(tmp_path, train=3, test=1, frames=8)
    files = ('cube-1/img/00000003.jpg', 'cube-1/img/00000008.jpg', 'cube-3/groundtruth.txt')
    gone = [root / 'cube' / file for file in files]
    for file in gone:
        file.unlink()
    with pytest.raises(UserError, match='3 files are missing or broken, all listed in') as caught:
        read_index(LasotSet(str(root)))
    listed = str(caught.value).partition('all listed in ')[2].partition(';')[0]
    with open(listed) as stream:
        lines = stream.read().splitlines()
    assert [str(file) in line for file, line in zip(gone, lines, strict=True)] == [True] * 3


def test_the_index_is_kept_until_a_file_changes(tmp_path, monkeypatch):
    root = write_lasot(tmp_path / 'lasot', train=2, test=1, frames=8)
    settle(root)
    reads = []
    read = LasotSet.read
    monkeypatch.setattr(LasotSet, 'read', lambda own, name: reads.append(name) or read(own, name))
    first, again = read_index(LasotSet(str(root))), read_index(LasotSet(str(root)))
    assert reads == ['cube-1', 'cube-2']
    assert (again.boxes == first.boxes).all()
    assert again[1].name == first[1].name == 'cube-2'
    assert again[1].visible.all()
    truth = root / 'cube' / 'cube-2' / 'groundtruth.txt'
    truth.write_text(truth.read_text().replace(',', '\t'))
    settle(root, 40)
    assert read_index(LasotSet(str(root))).digest != first.digest
    (root / 'cube' / 'cube-1' / 'img' / '00000008.jpg').unlink()
    with pytest.raises(UserError, match=r'00000008\.jpg: no such frame'):
        read_index(LasotSet(str(root)))


def test_a_kept_index_that_is_broken_is_read_anew(tmp_path):
    root = write_lasot(tmp_path / 'lasot', train=2, test=1, frames=8)
    settle(root)
    first = read_index(LasotSet(str(root)))
    for file in (tmp_path / 'cache' / 'mimbench').glob('*-boxes.npy'):
        file.write_bytes(b'cut short')
    assert (read_index(LasotSet(str(root))).boxes == first.boxes).all()


def test_what_changes_now_is_not_kept(tmp_path):
    """Within a tick of the file system's clock it could change again unnoticed."""
    read_index(LasotSet(str(write_lasot(tmp_path / 'lasot', train=1, test=1, frames=8))))
    assert not list((tmp_path / 'cache').rglob('*.npy'))


def settle(root, age=60):
    """Make everything below look as old as `age` seconds."""
    then = (module.os.stat(root).st_atime_ns // 10**9 - age) * 10**9
    for path in root.rglob('*'):
        os.utime(path, ns=(then, then))


def test_other_words_are_refused(tmp_path):
    with pytest.raises(ValueError, match="training set 'imagenet'"):
        open_source({'name': 'imagenet', 'root': str(tmp_path)}, 20, 5)
    with pytest.raises(ValueError, match="split='train'"):
        Got10kSet(str(tmp_path), split='train')
