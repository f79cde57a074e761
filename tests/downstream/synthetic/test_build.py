import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from pycocotools.coco import COCO

from downstream.commands.synth import synth
from downstream.synthetic import build
from downstream.synthetic.bank import texture_bank
from downstream.synthetic.build import build_world
from downstream.synthetic.classes import SEGMENTATION_CLASSES
from downstream.synthetic.layouts import coco
from downstream.synthetic.render import render
from downstream.synthetic.sizes import SIZES
from mim_backbones.errors import UserError

TINY = SIZES['tiny']
FEW = replace(TINY, pretrain_train=3, pretrain_val=1, tracking_train=1, tracking_test=0)


@pytest.fixture(scope='module')
def world(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp('worlds') / 'tiny'
    build_world(out, TINY, seed=0, workers=2)
    return out


def files(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob('*') if p.is_file()}


def test_the_number_of_workers_does_not_change_a_byte(world, tmp_path):
    build_world(tmp_path / 'alone', TINY, seed=0, workers=1)
    assert files(tmp_path / 'alone') == files(world)


def test_a_part_alone_is_the_same_as_in_the_whole(world, tmp_path):
    build_world(tmp_path / 'part', TINY, seed=0, parts=('detection',))
    whole = files(world)
    part = files(tmp_path / 'part')
    assert {name.split('/')[0] for name in part} == {'coco', 'data.yaml', 'world.json'}
    assert all(whole[name] == content for name, content in part.items() if '/' in name)


def test_another_seed_is_another_world(world, tmp_path):
    build_world(tmp_path / 'other', FEW, seed=1, parts=('pretrain',))
    same, other = files(world), files(tmp_path / 'other')
    shared = [name for name in other if name.endswith('.JPEG')]
    assert len(shared) == 4
    assert all(same[name] != other[name] for name in shared)


def test_imagenet_layout(world):
    train = sorted((world / 'imagenet/train').glob('*/*.JPEG'))
    assert len(train) == TINY.pretrain_train
    assert len(list((world / 'imagenet/val').glob('*/*.JPEG'))) == TINY.pretrain_val
    assert cv2.imread(str(train[0])).shape == (TINY.pretrain_px, TINY.pretrain_px, 3)
    names = dict(line.split() for line in (world / 'imagenet/classes.txt').read_text().splitlines())
    assert {path.parent.name for path in train} == set(names)


def test_coco_layout(world):
    loaded = COCO(str(world / 'coco/annotations/instances_train2017.json'))
    assert len(loaded.imgs) == TINY.detection_train
    assert len(loaded.cats) == 8
    assert loaded.anns
    for image in loaded.imgs.values():
        assert (world / 'coco/train2017' / image['file_name']).is_file()
    kinds = set()
    for annotation in loaded.anns.values():
        assert loaded.annToMask(annotation).sum() == annotation['area']
        kinds.add(type(annotation['segmentation']))
    assert kinds == {list, dict}  # polygons and RLE


def test_a_written_picture_is_the_rendered_one(world):
    scene = coco.draw(0, 'train2017', 5)
    side = TINY.detection_px
    image = render(scene, (side, side), texture_bank(0)).image
    written = cv2.imread(str(world / 'coco/train2017/000000000006.jpg'))[..., ::-1]
    assert np.abs(written.astype(int) - image).mean() < 12  # JPEG


def test_ade_layout(world):
    root = world / 'ade/ADEChallengeData2016'
    pictures = sorted((root / 'images/training').iterdir())
    labels = sorted((root / 'annotations/training').iterdir())
    assert [p.stem for p in pictures] == [p.stem for p in labels]
    assert len(pictures) == TINY.segmentation_train
    values = np.unique([cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in labels])
    assert values.max() <= len(SEGMENTATION_CLASSES)
    assert len(values) > 6


def test_lasot_layout(world):
    root = world / 'lasot'
    lists = [(root / f'{name}_set.txt').read_text().split() for name in ('training', 'testing')]
    assert [len(names) for names in lists] == [TINY.tracking_train, TINY.tracking_test]
    assert not set(lists[0]) & set(lists[1])
    for name in lists[0] + lists[1]:
        folder = root / name.rsplit('-', 1)[0] / name
        boxes = np.loadtxt(folder / 'groundtruth.txt', delimiter=',')
        flags = [
            np.loadtxt(folder / f'{flag}.txt', delimiter=',').astype(bool)
            for flag in ('full_occlusion', 'out_of_view')
        ]
        assert len(list((folder / 'img').glob('*.jpg'))) == len(boxes) == len(flags[0])
        assert (folder / 'img/00000001.jpg').is_file()
        assert ((boxes == 0).all(axis=1) == (flags[0] | flags[1])).all()


def test_data_yaml_names_what_is_there(world):
    data = yaml.safe_load((world / 'data.yaml').read_text())
    assert list(data) == ['pretrain', 'detection', 'segmentation', 'tracking', 'classification']
    assert all((world / section['root']).is_dir() for section in data.values())
    assert (world / 'coco' / data['detection']['val_annotations']).is_file()
    assert len(data['segmentation']['classes']) == len(SEGMENTATION_CLASSES)


def test_the_same_world_is_left_alone_and_another_refused(world):
    before = (world / 'world.json').stat().st_mtime_ns
    assert build_world(world, TINY, seed=0).already_there
    assert (world / 'world.json').stat().st_mtime_ns == before
    with pytest.raises(UserError, match='another size, seed'):
        build_world(world, TINY, seed=1)


def test_a_folder_with_other_files_is_refused(tmp_path):
    (tmp_path / 'precious.txt').write_text('mine')
    with pytest.raises(UserError, match='not empty'):
        build_world(tmp_path, FEW)
    assert files(tmp_path) == {'precious.txt': b'mine'}


def test_a_place_that_cannot_be_written_is_one_clear_error(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(UserError, match='cannot write'):
        build_world(tmp_path / 'file' / 'world', FEW)


def test_nothing_half_written_remains(tmp_path, monkeypatch):
    def full_disk(root, job, size, seed):
        raise OSError(28, 'No space left on device', str(root))

    monkeypatch.setattr(build.LAYOUTS['tracking'], 'write', full_disk)
    with pytest.raises(UserError, match='No space left'):
        build_world(tmp_path / 'world', FEW, parts=('pretrain', 'tracking'))
    assert not list(tmp_path.iterdir())


def test_the_command_prints_json(tmp_path):
    out = str(tmp_path / 'world')
    arguments = [out, '--size', 'tiny', '--only', 'detection', '--workers', '1', '--json']
    first = CliRunner().invoke(synth, arguments)
    printed = json.loads(first.stdout)
    assert printed['counts'] == {'detection/train2017': 8, 'detection/val2017': 4}
    assert printed['pictures_per_second_per_worker'] > 0
    again = json.loads(CliRunner().invoke(synth, arguments).stdout)
    assert again['already_there']


def test_the_command_refuses_an_unknown_part(tmp_path):
    result = CliRunner().invoke(synth, [str(tmp_path / 'world'), '--only', 'depth'])
    assert isinstance(result.exception, UserError)


def test_more_workers_than_the_machine_bears_are_refused(tmp_path):
    with pytest.raises(UserError, match=r'--workers 1000: .* cores take at most'):
        CliRunner().invoke(
            synth, [str(tmp_path / 'out'), '--workers', '1000'], catch_exceptions=False
        )
    assert not (tmp_path / 'out').exists()
