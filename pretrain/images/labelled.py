"""A few labelled images for probes: folders of classes, some that vote and some that ask.

    FOLDER/train/CLASS/*, FOLDER/val/CLASS/*     ImageNet's layout: train votes, val asks
    FOLDER/CLASS/*                               of each class a fifth asks, by a hash of the names

Which images are taken depends on their names alone, so that every probe, of every run, sees the
same ones.
"""

from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from mim_backbones.errors import UserError
from pretrain.images.decode import SUFFIXES, evenly, load_readable, unreadable

ASKING = 5  # one of so many
ENOUGH = 20  # images of a class, below which there are better fewer classes
READERS = 8  # threads

Classes = dict[str, list[str]]


class Labelled(NamedTuple):
    """Files and the number of the class of each."""

    files: list[str]
    labels: list[int]

    def first(self, count: int) -> 'Labelled':
        return Labelled(self.files[:count], self.labels[:count])


class Pictures(NamedTuple):
    """pixels (N, 3, S, S) uint8; labels (N,) int64."""

    pixels: Tensor
    labels: Tensor


def classes_of(folder: str | Path) -> tuple[Classes, Classes]:
    """Class -> its files, of those that vote and those that ask; no classes where there are none.

    Raises:
        UserError: the folder is not there, or `val` has a class that `train` lacks.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(
            f'labelled images: folder {folder.absolute()} is not there; give one with '
            'train/CLASS/* and val/CLASS/*, or with CLASS/*'
        )
    if not (folder / 'train').is_dir() or not (folder / 'val').is_dir():
        return _by_hash(_folders(folder))
    voting, asking = _folders(folder / 'train'), _folders(folder / 'val')
    lacking = sorted(set(asking) - set(voting))
    if lacking:
        raise UserError(
            f'labelled images: {folder}/val has the class {lacking[0]}, which {folder}/train '
            'lacks; put images of it there, or take it out'
        )
    return voting, asking


def with_val(root: str | Path) -> Path:
    """The folder of training images, or the one around it that has its `val` too."""
    root = Path(root).absolute()  # train and val may be links
    return root.parent if root.name == 'train' and (root.parent / 'val').is_dir() else root


def choose_labelled(voting: Classes, asking: Classes, count: int) -> tuple[Labelled, Labelled]:
    """At most `count` images in all, four fifths of which vote, as many of each class.

    With more classes than `count` / 20, evenly spaced ones are taken.
    """
    names = evenly(sorted(asking), max(2, count // ENOUGH))
    votes = count * (ASKING - 1) // ASKING
    return _chosen(voting, names, votes), _chosen(asking, names, count - votes)


def read(some: Labelled, img_size: int) -> Pictures:
    """Centre crops; those that cannot be decoded are left out.

    Raises:
        UserError: there are some, and none can.
    """
    if not some.files:
        none = torch.zeros(0, 3, img_size, img_size, dtype=torch.uint8)
        return Pictures(none, torch.zeros(0, dtype=torch.int64))
    with ThreadPoolExecutor(READERS) as pool:
        found = list(pool.map(lambda path: load_readable([path], img_size, 'bicubic'), some.files))
    pixels = {path: view for one in found for path, view in one.items()}
    unreadable(some.files, pixels)
    labels = [label for path, label in zip(some.files, some.labels) if path in pixels]
    return Pictures(torch.stack([*pixels.values()]), torch.tensor(labels))


def _folders(folder: Path) -> Classes:
    """Name -> the images in it, sorted, of each folder that has some."""
    found = {
        each.name: sorted(str(p) for p in each.iterdir() if p.suffix.lower() in SUFFIXES)
        for each in sorted(folder.iterdir())
        if each.is_dir()
    }
    return {name: files for name, files in found.items() if files}


def _by_hash(classes: Classes) -> tuple[Classes, Classes]:
    """A fifth of each class asks, at least one; a class of one image only votes."""
    voting, asking = {}, {}
    for name, files in classes.items():
        ordered = sorted(files, key=lambda path: blake2b(Path(path).name.encode()).digest())
        cut = max(1, len(files) // ASKING) if len(files) > 1 else 0
        voting[name] = sorted(ordered[cut:])
        if cut:
            asking[name] = sorted(ordered[:cut])
    return voting, asking


def _chosen(classes: Classes, names: list[str], count: int) -> Labelled:
    """Evenly spaced files of the named classes, which take turns."""
    each = max(1, count // len(names))
    picked = [(evenly(classes[name], each), label) for label, name in enumerate(names)]
    turns = [
        (files[turn], label) for turn in range(each) for files, label in picked if turn < len(files)
    ]
    return Labelled([path for path, _ in turns], [label for _, label in turns])
