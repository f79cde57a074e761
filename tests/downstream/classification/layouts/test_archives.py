"""Tar shards and zips: the pictures of the folders they were packed from, and what is refused."""

import io
import json
import os
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from downstream.classification.data import ClassificationData, describe, train_index, val_index
from downstream.classification.layouts import archives as module
from downstream.classification.layouts.archives import archives_of
from downstream.classification.pictures import LabelledPictures
from mim_backbones.data_spec import load_data_spec
from mim_backbones.errors import UserError

VIEW = {'type': 'CentreView', 'img_size': 32}
CLASSES = {'ant': 3, 'bee': 2, 'cat': 2}


@pytest.fixture
def plain(folders) -> Path:
    return folders(train=CLASSES, val={'ant': 1, 'bee': 1, 'cat': 1})


def shard(path: Path, files: dict[str, bytes], form: int = tarfile.PAX_FORMAT) -> Path:
    path.parent.mkdir(exist_ok=True)
    with tarfile.open(path, 'w', format=form) as archive:
        for name, content in files.items():
            head = tarfile.TarInfo(name)
            head.size = len(content)
            archive.addfile(head, io.BytesIO(content))
    return path


def samples(root: Path, split: str, label, ending: str) -> list[dict[str, bytes]]:
    """A webdataset's samples of the folders, one dict each."""
    found = []
    for number, name in enumerate(sorted(one.name for one in (root / split).iterdir())):
        for file in sorted((root / split / name).iterdir()):
            key = f'{name}_{file.stem}'
            found.append({f'{key}.jpg': file.read_bytes(), f'{key}.{ending}': label(number, name)})
    return found


def shards(root: Path, split: str, label, ending: str, form: int = tarfile.PAX_FORMAT) -> None:
    every = samples(root, split, label, ending)
    for number in range(2):
        files = {name: content for one in every[number::2] for name, content in one.items()}
        shard(root / f'shards/{split}-{number:03d}.tar', files, form)


def contents(dataset: LabelledPictures) -> list[tuple[int, bytes]]:
    """What there is of a data set whatever its pictures are called."""
    found = (dataset[number] for number in range(len(dataset)))
    return sorted((one['label'], one['inputs'].numpy().tobytes()) for one in found)


LABELS = {
    'number': (lambda number, name: f'{number}\n'.encode(), 'cls'),
    'name': (lambda number, name: name.encode(), 'cls'),
    'label of a json': (lambda number, name: json.dumps({'label': number}).encode(), 'json'),
    'cls of a json': (lambda number, name: json.dumps({'cls': name}).encode(), 'json'),
}


@pytest.mark.parametrize('form', [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
@pytest.mark.parametrize('kind', LABELS)
def test_shards_hold_the_pictures_of_the_folders(plain, kind, form) -> None:
    for split in ('train', 'val'):
        shards(plain, split, *LABELS[kind], form)
    data = ClassificationData(plain, 'shards/train-{000..001}.tar', 'shards/val-*.tar')
    words = {'root': str(plain), 'view': VIEW}
    for split in ('train', 'val'):
        packed = LabelledPictures(split=split, train=data.train, val=data.val, **words)
        assert contents(packed) == contents(LabelledPictures(split=split, **words))
    card = describe(data)
    assert (card.train, card.val) == (7, 3)
    named = '0' if 'number' in kind or 'label' in kind else 'ant'
    assert card.classes[0] == named
    assert train_index(data).files[0] == 'shards/train-000.tar/ant_0.jpg'


@pytest.mark.parametrize('packed', [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize('above', ['', 'imagenet/train/'])
def test_a_zip_holds_folders_of_classes_whatever_lies_above(plain, packed, above) -> None:
    for split in ('train', 'val'):
        with zipfile.ZipFile(plain / f'{split}.zip', 'w', packed) as archive:
            for file in sorted((plain / split).rglob('*.JPEG')):
                archive.write(file, f'{above}{file.relative_to(plain / split)}')
            archive.writestr(f'__MACOSX/{above}ant/._0.JPEG', b'no picture')
    words = {'root': str(plain), 'view': VIEW}
    found = LabelledPictures(split='train', train='train.zip', val='val.zip', **words)
    assert found.metainfo['classes'] == ('ant', 'bee', 'cat')
    assert contents(found) == contents(LabelledPictures(split='train', **words))


def test_a_tar_may_hold_folders_and_pictures_that_are_not_the_samples(plain) -> None:
    (jpeg,) = [(plain / 'val/ant/0.JPEG').read_bytes()]
    files = {'./ant/a.b.jpg': jpeg, 'x/1.jpg': jpeg, 'x/1.cls': b'bee', 'x/1.mask.png': jpeg}
    shard(plain / 'all.tar', {**files, f'{"long/" * 60}cat/1.jpg': jpeg})
    found = train_index(ClassificationData(plain, 'all.tar'))
    names = [name.rpartition('/')[2] for name in found.files]
    classes = [found.classes[label] for label in found.labels]
    assert list(zip(names, classes)) == [('a.b.jpg', 'ant'), ('1.jpg', 'bee'), ('1.jpg', 'cat')]
    assert all(found.store.read(name) == jpeg for name in found.files)


def test_numbers_stand_for_names(plain) -> None:
    shards(plain, 'train', *LABELS['number'])
    (plain / 'names.txt').write_text('ant common ant\nbee\ncat\n')
    data = ClassificationData(plain, 'shards/train-*.tar', class_names='names.txt')
    train = train_index(data)
    assert train.classes == ('ant', 'bee', 'cat')
    assert val_index(data, train.classes).labels == [0, 1, 2]  # its folders have the names
    (plain / 'names.txt').write_text('ant\nbee\n')
    with pytest.raises(UserError, match=r"names\.txt: names 2 classes, '2' is none of them"):
        train_index(data)


def test_a_list_chooses_among_archives(plain) -> None:
    shards(plain, 'train', *LABELS['number'])
    (plain / 'few.txt').write_text('shards/train-000.tar/bee_1.jpg small\n')
    data = ClassificationData(plain, 'shards/train-*.tar', train_list='few.txt')
    found = train_index(data)
    assert (found.files, found.classes) == (['shards/train-000.tar/bee_1.jpg'], ('small',))
    (plain / 'few.txt').write_text('shards/train-000.tar/fly_1.jpg small\n')
    with pytest.raises(UserError, match=r'line 1: .*fly_1\.jpg is in no archive of shards/train'):
        train_index(data)


def test_the_index_is_made_once_and_again_when_the_archive_changes(plain, monkeypatch) -> None:
    shards(plain, 'train', *LABELS['number'])
    data = ClassificationData(plain, 'shards/train-{000..001}.tar', 'shards/train-000.tar')
    first = train_index(data)
    before = describe(data).fingerprint
    with monkeypatch.context() as patch:
        patch.setattr(module, '_tar_members', None)
        assert train_index(data)[:3] == first[:3]
    jpeg = (plain / 'val/ant/0.JPEG').read_bytes()
    shard(plain / 'shards/train-001.tar', {'z.jpg': jpeg, 'z.cls': b'2'})
    assert train_index(data).files[-1] == 'shards/train-001.tar/z.jpg'
    assert describe(data).fingerprint != before


def test_a_broken_member_is_counted_and_a_missing_shard_named(plain, tmp_path) -> None:
    shards(plain, 'train', *LABELS['number'])
    data = ClassificationData(plain, 'shards/train-000.tar')
    member = train_index(data).store.members['shards/train-000.tar/ant_2.jpg'][1]
    with (plain / 'shards/train-000.tar').open('r+b') as stream:
        stream.seek(member.start)
        stream.write(b'\0' * member.size)
    found = LabelledPictures(str(plain), 'train', VIEW, data.train, skip_limit=0.5)
    torch.manual_seed(0)
    assert found[1]['name'] == 'shards/train-000.tar/bee_1.jpg'
    assert list(found.skipped.values()) == [str(plain / 'shards/train-000.tar/ant_2.jpg')]
    (tmp_path / 'data.yaml').write_text(
        'classification: {root: set, train: "shards/train-{000..002}.tar"}\n'
    )
    with pytest.raises(UserError, match=r'shards/train-002\.tar is not there'):
        load_data_spec(tmp_path / 'data.yaml')['classification']


def test_a_damaged_zip_member_is_not_taken_for_a_picture(plain) -> None:
    jpeg = (plain / 'val/ant/0.JPEG').read_bytes()
    with zipfile.ZipFile(plain / 'train.zip', 'w') as archive:
        archive.writestr('ant/0.jpg', jpeg)
    store = train_index(ClassificationData(plain, 'train.zip')).store
    content = bytearray((plain / 'train.zip').read_bytes())
    content[content.index(jpeg) + 200] ^= 1
    (plain / 'train.zip').write_bytes(content)
    with pytest.raises(ValueError, match='checksum'):
        store.read('train.zip/ant/0.jpg')


def cut(path: Path, share: float) -> None:
    os.truncate(path, int(path.stat().st_size * share))


def overwrite(path: Path) -> None:
    """A head in the middle is no head any more."""
    with path.open('r+b') as stream:
        rows = np.arange(0, path.stat().st_size, 512)
        names = [r for r in rows if path.read_bytes()[r : r + 3] in (b'bee', b'cat')]
        stream.seek(names[0])
        stream.write(b'\xff' * 512)


@pytest.mark.parametrize(
    ('spoil', 'said'),
    [
        (lambda path: cut(path, 0.3), 'no whole tar|cut short'),
        (overwrite, 'cut short or damaged at byte'),
        (lambda path: path.write_bytes(b'\x1f\x8b' + b'0' * 2000), 'unpack it if it is compressed'),
        (lambda path: path.write_bytes(b''), 'no whole tar|cut short'),
        (lambda path: shard(path, {'a.jpg': b'x'}), r'a\.jpg has no class; put KEY\.cls'),
        (lambda path: shard(path, {'a.jpg': b'x', 'a.json': b'{'}), r'a\.json cannot be read'),
    ],
)
def test_what_is_no_whole_shard_is_one_line(plain, spoil, said) -> None:
    shards(plain, 'train', *LABELS['number'])
    spoil(plain / 'shards/train-001.tar')
    with pytest.raises(UserError, match=said) as caught:
        train_index(ClassificationData(plain, 'shards/train-*.tar'))
    assert 'train-001.tar' in str(caught.value) and '\n' not in str(caught.value)


def test_a_cut_zip_is_one_line(plain) -> None:
    with zipfile.ZipFile(plain / 'train.zip', 'w') as archive:
        archive.write(plain / 'val/ant/0.JPEG', 'ant/0.jpg')
    cut(plain / 'train.zip', 0.9)
    with pytest.raises(UserError, match=r'train\.zip: no whole zip'):
        train_index(ClassificationData(plain, 'train.zip'))


def test_patterns(tmp_path) -> None:
    for name in ('b-2.tar', 'b-10.tar'):
        (tmp_path / name).touch()
    assert [p.name for p in archives_of(tmp_path, 'b-*.tar')] == ['b-10.tar', 'b-2.tar']
    assert [p.name for p in archives_of(tmp_path, '{0..1}-{08..10}.tar')] == [
        '0-08.tar', '0-09.tar', '0-10.tar', '1-08.tar', '1-09.tar', '1-10.tar'
    ]  # fmt: skip
    assert archives_of(tmp_path, 'c-*.tar') == [tmp_path / 'c-*.tar']
