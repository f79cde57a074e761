import os
import time

import pytest
import torch

from downstream.evaluation import fingerprint
from downstream.evaluation.fingerprint import file_digest, listing_digest, tensors_digest


@pytest.fixture
def folder(tmp_path):
    """Two images in two folders, a day old."""
    for name in ('a/one.jpg', 'b/two.jpg'):
        path = tmp_path / 'images' / name
        path.parent.mkdir(parents=True)
        path.write_bytes(b'12345')
    for path in (tmp_path / 'images', *(tmp_path / 'images').rglob('*')):
        os.utime(path, (time.time() - 86400,) * 2)
    return tmp_path / 'images'


@pytest.mark.parametrize('many', [1, 10**6])
def test_new_renamed_and_missing_files_change_it(folder, monkeypatch, many):
    monkeypatch.setattr(fingerprint, 'MANY', many)
    found = [listing_digest([folder])]
    assert listing_digest([folder]) == found[0]
    (folder / 'b' / 'two.jpg').rename(folder / 'b' / 'three.jpg')
    found.append(listing_digest([folder]))
    (folder / 'b' / 'three.jpg').unlink()
    found.append(listing_digest([folder]))
    (folder / 'c').mkdir()
    (folder / 'c' / 'four.jpg').touch()
    found.append(listing_digest([folder]))
    assert len(set(found)) == 4


def test_sizes_of_a_small_set_count_each_time(folder):
    before = listing_digest([folder])
    with (folder / 'a' / 'one.jpg').open('ab') as stream:  # in place: the folder's time stays
        stream.write(b'6')
    assert listing_digest([folder]) != before


def test_a_large_set_is_listed_once(folder, monkeypatch):
    monkeypatch.setattr(fingerprint, 'MANY', 2)
    before = listing_digest([folder])
    monkeypatch.setattr(fingerprint, '_walk', None)
    assert listing_digest([folder]) == before


def test_a_set_that_changes_now_is_not_kept(folder, monkeypatch):
    monkeypatch.setattr(fingerprint, 'MANY', 2)
    os.utime(folder / 'b')
    listing_digest([folder])
    monkeypatch.setattr(fingerprint, '_walk', None)
    with pytest.raises(TypeError):
        listing_digest([folder])


def test_it_does_not_depend_on_the_place(folder, tmp_path):
    before = listing_digest([folder])
    folder.rename(tmp_path / 'elsewhere')
    assert listing_digest([tmp_path / 'elsewhere']) == before


@pytest.mark.parametrize('large', [1, 2**25])
def test_the_bytes_of_a_file_count(tmp_path, monkeypatch, large):
    monkeypatch.setattr(fingerprint, 'LARGE', large)
    path = tmp_path / 'weights.pth'
    path.write_bytes(b'12345')
    # sha256sum of the five characters
    five = '5994471abb01112afcc18159f6cc74b4f511b99806da59b3caf5a9c173cacfc5'
    assert file_digest(path) == five
    assert file_digest(path) == five
    path.write_bytes(b'12346')
    os.utime(path, ns=(0, 1))
    assert file_digest(path) != five


def test_a_large_file_is_read_once(tmp_path, monkeypatch):
    monkeypatch.setattr(fingerprint, 'LARGE', 1)
    path = tmp_path / 'weights.pth'
    path.write_bytes(b'12345')
    before, moment = file_digest(path), path.stat().st_mtime_ns
    path.write_bytes(b'54321')
    os.utime(path, ns=(0, moment))  # told apart from the first by size and time only
    assert file_digest(path) == before


def test_a_cache_that_cannot_be_written_is_done_without(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(fingerprint, 'MANY', 2)
    (tmp_path / 'file').touch()
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'file'))
    assert listing_digest([folder]) == listing_digest([folder])


def test_tensors():
    one = {'a': torch.zeros(2, 3), 'b': torch.ones(())}
    assert tensors_digest(one) == tensors_digest(dict(reversed(one.items())))
    assert tensors_digest(one) != tensors_digest({**one, 'a': torch.zeros(3, 2)})
    assert tensors_digest(one) != tensors_digest({**one, 'b': torch.zeros(())})
