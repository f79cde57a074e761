"""Which labelled images a probe sees, and what is refused."""

import shutil
from pathlib import Path

import pytest
import torch

from mim_backbones.errors import UserError
from pretrain.images.decode import load_image
from pretrain.images.labelled import Labelled, choose_labelled, classes_of, read, with_val
from tests.pretrain.small import write_blobs


def folders(root, **counts: int):
    for name, count in counts.items():
        (root / name).mkdir(parents=True)
        for i in range(count):
            (root / name / f'{name}_{i:03d}.JPEG').touch()
    return root


def test_train_votes_and_val_asks(tmp_path) -> None:
    folders(tmp_path / 'train', cat=3, dog=2, empty=0)
    folders(tmp_path / 'val', cat=1)
    (tmp_path / 'train/readme.txt').touch()
    voting, asking = classes_of(tmp_path)
    assert {name: len(files) for name, files in voting.items()} == {'cat': 3, 'dog': 2}
    assert asking == {'cat': [str(tmp_path / 'val/cat/cat_000.JPEG')]}
    assert with_val(tmp_path / 'train') == tmp_path
    assert with_val(tmp_path / 'val') == tmp_path / 'val'
    (tmp_path / 'links').mkdir()
    for name in ('train', 'val'):
        (tmp_path / 'links' / name).symlink_to(tmp_path / name)
    assert with_val(tmp_path / 'links/train') == tmp_path / 'links'
    shutil.rmtree(tmp_path / 'val')
    assert with_val(tmp_path / 'train') == tmp_path / 'train'


def test_one_folder_is_split_by_names_alone(tmp_path) -> None:
    voting, asking = classes_of(folders(tmp_path / 'a', cat=20, dog=7, cow=2, one=1))
    assert {name: len(files) for name, files in asking.items()} == {'cat': 4, 'dog': 1, 'cow': 1}
    assert {name: len(f) for name, f in voting.items()} == {'cat': 16, 'cow': 1, 'dog': 6, 'one': 1}
    assert not {f for files in voting.values() for f in files} & {*asking['cat'], *asking['dog']}

    def names(classes) -> list[list[str]]:
        return [[path.rpartition('/')[2] for path in files] for files in classes.values()]

    elsewhere = classes_of(folders(tmp_path / 'b', cat=20, dog=7, cow=2, one=1))
    assert (names(voting), names(asking)) == tuple(names(classes) for classes in elsewhere)
    # By their hash, not the first or last of the names.
    assert names(asking)[0] not in ([f'cat_{i:03d}.JPEG' for i in (0, 1, 2, 3)],
                                    [f'cat_{i:03d}.JPEG' for i in (16, 17, 18, 19)])  # fmt: skip


def test_budget_is_shared_evenly_and_classes_take_turns(tmp_path) -> None:
    voting, asking = classes_of(folders(tmp_path, a=40, b=40, c=40, d=3))
    votes, asks = choose_labelled(voting, asking, 40)
    # 40 images are enough for two classes: the first and the last.
    assert votes.labels == [0, 1, 0, 1, *[0] * 14]  # d has two that vote
    assert asks.labels == [0, 1, 0, 0, 0]
    assert len(votes.files + asks.files) == len({*votes.files, *asks.files}) == 23
    assert all(f'/{"ad"[label]}/' in path for path, label in zip(*votes))
    votes, asks = choose_labelled(voting, asking, 100)
    assert sorted(set(votes.labels)) == [0, 1, 2, 3]
    assert len(votes.files) <= 80 and len(asks.files) <= 20
    own = [path for path, label in zip(*votes) if label == 0]
    assert (own[0], own[-1]) == (voting['a'][0], voting['a'][-1])  # from the first to the last


def test_reading_leaves_out_what_cannot_be_decoded(tmp_path) -> None:
    files = sorted(str(path) for path in write_blobs(tmp_path, count=4).iterdir())
    Path(files[1]).write_bytes(b'no picture')
    pixels, labels = read(Labelled(files, [5, 6, 7, 8]), 16)
    assert labels.tolist() == [5, 7, 8]
    assert pixels.shape == (3, 3, 16, 16) and pixels.dtype == torch.uint8
    assert torch.equal(pixels[2], load_image(files[3], 16, 'bicubic'))
    assert read(Labelled([], []), 16).pixels.shape == (0, 3, 16, 16)
    with pytest.raises(UserError, match=r'001\.png cannot be decoded'):
        read(Labelled(files[1:2], [0]), 16)


def test_what_is_refused(tmp_path) -> None:
    with pytest.raises(UserError, match=r'folder .*nowhere is not there; give one with train/CL'):
        classes_of(tmp_path / 'nowhere')
    folders(tmp_path / 'train', cat=3, dog=2)
    folders(tmp_path / 'val', cat=1, eel=1)
    with pytest.raises(UserError, match=r'val has the class eel, which .*/train lacks'):
        classes_of(tmp_path)
