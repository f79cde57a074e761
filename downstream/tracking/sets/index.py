"""The sequences of a training set, read and checked once.

Boxes of all sequences lie one after another in arrays that processes share. They are kept in the
user's cache beside a digest of what was read: names of the sequences, sizes and times of change of
their annotations, times of change of their folders, which move when a frame appears or disappears.
Whatever is missing or broken is named before anything is trained, all of it.
"""

import hashlib
import json
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
from mmengine.logging import print_log

from downstream.evaluation.fingerprint import cache_entry, read_entry, settled, write_entry
from downstream.tracking.data import Sequence, missing_frames
from mim_backbones.console.atomic_file import write_atomically, write_bytes_atomically
from mim_backbones.errors import UserError


class TrainingSet(Protocol):
    """A reader. still: its sequences are single pictures."""

    still: bool
    root: Path

    def check(self) -> None: ...

    def names(self) -> list[str]: ...

    def watched(self) -> Iterator[Path]: ...

    def read(self, name: str) -> Sequence: ...


@dataclass(frozen=True, eq=False)
class SequenceIndex:
    """Sequences by number.

    places: (S, 3) bytes: name, folder below `root`, pattern of the frames' files.
    starts: (S + 1,) int64, where each sequence starts among the F frames of all.
    boxes: (F, 4) float64 xywh; visible: (F,) bool. first: number of a first frame.
    digest: 16 digits of what was read.
    """

    root: Path
    places: np.ndarray
    starts: np.ndarray
    boxes: np.ndarray
    visible: np.ndarray
    first: int
    digest: str

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, number: int) -> Sequence:
        name, folder, frames = (text.decode() for text in self.places[number])
        own = slice(self.starts[number], self.starts[number + 1])
        boxes, visible = self.boxes[own], self.visible[own]
        return Sequence(name, self.root / folder, boxes, visible, frames, self.first)

    def usable(self) -> np.ndarray:
        """Frames with a visible target that has an area: (F,) bool."""
        return self.visible & (self.boxes[:, 2] > 0) & (self.boxes[:, 3] > 0)


def read_index(source: TrainingSet) -> SequenceIndex:
    """From the cache, or read anew where the set has changed.

    Raises:
        UserError: a file is missing or broken; the message names the first and a file with all.
    """
    said = {key: str(value) for key, value in vars(source).items() if key[0] != '_'}
    said |= {'kind': type(source).__name__, 'root': str(source.root.resolve())}
    entry = cache_entry('tracking', json.dumps(said, sort_keys=True))
    digest, moments = _state(source.watched())
    kept = _kept(entry, source.root, digest)
    if kept is not None:
        return kept
    index = _read(source, digest, entry.with_suffix('.txt'))
    # What changed just now may change again within its clock's tick.
    if settled(moments):
        with suppress(UserError):  # a cache that cannot be written costs time, nothing else
            _keep(entry, index)
    return index


def _state(paths: Iterable[Path]) -> tuple[str, list[int]]:
    """A digest over names, sizes and times, and the times (ns); what is not there counts too."""
    digest, moments = hashlib.sha256(), [0]
    for path in paths:
        try:
            about = os.stat(path)
            size = 0 if stat.S_ISDIR(about.st_mode) else about.st_size
            digest.update(f'{path} {size} {about.st_mtime_ns}\n'.encode())
            moments.append(about.st_mtime_ns)
        except OSError:
            digest.update(f'{path} missing\n'.encode())
    return digest.hexdigest()[:16], moments


def _read(source: TrainingSet, digest: str, report: Path) -> SequenceIndex:
    names, problems = source.names(), []
    print_log(f'{source.root}: reading {len(names)} training sequences', 'current')
    places, lengths, first = [], [], 1
    boxes, visible = [], []
    folder, files = None, frozenset[str]()
    for name in names:
        try:
            sequence = source.read(name)
        except UserError as error:
            problems.append(str(error))
            continue
        path = sequence.frame_path(0)
        if path.parent != folder:  # COCO's pictures share theirs
            folder = path.parent
            files = frozenset(os.listdir(folder) if folder.is_dir() else ())
        missing = missing_frames(sequence, files)
        problems += [f'{file}: no such frame' for file in missing]
        there = np.isfinite(sequence.boxes).all(axis=1)
        boxes.append(np.where(there[:, None], sequence.boxes, 0))
        visible.append(sequence.visible & there)
        lengths.append(len(sequence))
        first = sequence.first
        below = sequence.folder.relative_to(source.root)
        places.append([text.encode() for text in (name, str(below), sequence.frames)])
    if problems:
        _refuse(source.root, problems, report)
    return SequenceIndex(
        root=source.root,
        places=np.array(places),
        starts=np.cumsum([0, *lengths]),
        boxes=np.concatenate(boxes),
        visible=np.concatenate(visible),
        first=first,
        digest=digest,
    )


def _refuse(root: Path, problems: list[str], report: Path) -> None:
    if len(problems) == 1:
        raise UserError(problems[0])
    write_bytes_atomically(report, ''.join(f'{line}\n' for line in problems).encode())
    raise UserError(
        f'{root}: {len(problems)} files are missing or broken, all listed in {report}; the first: '
        f'{problems[0]}'
    )


ARRAYS = ('places', 'starts', 'boxes', 'visible')


def _keep(entry: Path, index: SequenceIndex) -> None:
    before = read_entry(entry).get('digest')
    for name in ARRAYS:
        values = getattr(index, name)
        write_atomically(_file(entry, name, index.digest), partial(np.save, arr=values))
    write_entry(entry, {'digest': index.digest, 'first': index.first})
    if before and before != index.digest:
        for name in ARRAYS:
            _file(entry, name, before).unlink(missing_ok=True)


def _kept(entry: Path, root: Path, digest: str) -> SequenceIndex | None:
    about = read_entry(entry)
    if about.get('digest') != digest:
        return None
    try:
        arrays = {name: np.load(_file(entry, name, digest), mmap_mode='r') for name in ARRAYS}
    except (OSError, ValueError):  # cleared away, or cut short by a full disk
        return None
    return SequenceIndex(root=root, first=about['first'], digest=digest, **arrays)


def _file(entry: Path, name: str, digest: str) -> Path:
    return entry.with_name(f'{entry.stem}-{digest}-{name}.npy')
