"""Folders of classes, and lists of lines `PATH CLASS`; of large sets the listing is kept.

It is kept with the time of change of every folder (evaluation/fingerprint.py).
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from downstream.classification.layouts.listing import Folder, Listing, Pair
from downstream.evaluation.fingerprint import (
    MANY,
    cache_entry,
    changed_at,
    read_entry,
    settled,
    write_entry,
)
from mim_backbones.errors import UserError

SUFFIXES = ('.jpg', '.jpeg', '.png')


def of_folders(root: Path, split: str) -> Listing:
    """`root/split/CLASS/*`, by class and name."""
    pairs = [(f'{split}/{file}', name) for file, name in _classes(root / split)]
    return Listing(pairs, Folder(root))


def of_list(root: Path, split: str, path: Path) -> Listing:
    """Lines of a list; the files are looked for, as a missing one would show in mid-training.

    Raises:
        UserError: a line that is none of a list, or a file of it that is not there.
    """
    pairs = []
    for number, file, name in lines(path):
        if not (root / split / file).is_file():
            raise UserError(f'{path}, line {number}: {root / split / file} is not there')
        pairs.append((f'{split}/{file}', name))
    return Listing(pairs, Folder(root))


def chosen(found: Listing, split: str, path: Path) -> Listing:
    """What a list names of the pictures in archives, with the list's classes.

    Raises:
        UserError: a line that is none of a list, or a picture that is in none of the archives.
    """
    known = {name for name, _ in found.pairs}
    pairs = []
    for number, file, name in lines(path):
        if file not in known:
            raise UserError(f'{path}, line {number}: {file} is in no archive of {split}')
        pairs.append((file, name))
    return Listing(pairs, found.store)


def lines(path: Path) -> Iterator[tuple[int, str, str]]:
    """Number, path and class of each line."""
    for number, line in enumerate(path.read_text(encoding='utf-8').splitlines(), 1):
        if not line.strip():
            continue
        file, _, name = line.strip().rpartition(' ')
        if not file:
            raise UserError(f'{path}, line {number}: expected `PATH CLASS`, found {line!r}')
        yield number, file.strip(), name


def _classes(folder: Path) -> list[Pair]:
    entry = cache_entry('pictures', str(folder.resolve()))
    kept = read_entry(entry)
    if kept and all(changed_at(Path(place)) == moment for place, moment in kept['folders'].items()):
        return [(f'{name}/{file}', name) for name, files in kept['files'].items() for file in files]
    moments: dict[str, Any] = {str(folder): changed_at(folder)}
    found: dict[str, list[str]] = {}
    for name in sorted(one.name for one in os.scandir(folder) if one.is_dir()):
        moments[f'{folder}/{name}'] = changed_at(folder / name)
        files = sorted(_pictures(folder / name))
        if files:
            found[name] = files
    if sum(map(len, found.values())) >= MANY and settled(moments.values()):
        write_entry(entry, {'folders': moments, 'files': found})
    return [(f'{name}/{file}', name) for name, files in found.items() for file in files]


def _pictures(folder: Path) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.lower().endswith(SUFFIXES):
                yield entry.name
