"""Where result files lie, and how to read and write them, in a folder or a zip.

    pytracking      SEQ.txt, tabs; SEQ_time.txt, SEQ_object_presence_scores.txt. OSTrack the same,
                    and LaSOT's Matlab toolkit with commas or blanks
    got10k          SEQ/SEQ_001.txt .. _003.txt, a file per repetition, commas; SEQ/SEQ_time.txt has
                    a column for each
    got10k-server   the same as a zip, to be handed in
    trackingnet     SEQ.txt, commas, times nowhere, as a zip, to be handed in

The first line is the first frame's given box. Which layout a folder has is seen from its files;
those of other sequences are passed over.
"""

import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from downstream.tracking.data import parse_boxes, read_text
from downstream.tracking.formats.rows import (
    boxes_text,
    numbers_text,
    read_numbers,
)
from mim_backbones.console.atomic_file import write_atomically, write_bytes_atomically
from mim_backbones.errors import UserError

EPOCH = (1980, 1, 1, 0, 0, 0)  # of every file in a zip: the same results give the same bytes
LARGEST = 2**28  # bytes of one text file in a zip; a million frames take a tenth
BROKEN = (
    OSError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError,
    UnicodeDecodeError,
)  # fmt: skip


@dataclass(frozen=True)
class TrackRecord:
    """What a tracker found in one sequence.

    boxes: per repetition (T, 4) xywh; times: per repetition (T,) seconds, or none; scores: (T,)
    confidence that the target is there, or None.
    """

    boxes: list[NDArray]
    times: list[NDArray] = field(default_factory=list)
    scores: NDArray | None = None


@dataclass(frozen=True)
class Layout:
    """separator: between numbers; foldered: a folder for each sequence; zipped: one archive."""

    name: str
    separator: str
    foldered: bool = False
    zipped: bool = False
    timed: bool = True

    def box_file(self, sequence: str, repetition: int = 0) -> str:
        if self.foldered:
            return f'{sequence}/{sequence}_{repetition + 1:03d}.txt'
        return f'{sequence}.txt'

    def beside(self, sequence: str, what: str) -> str:
        """The file of times or scores."""
        return f'{sequence}/{sequence}_{what}.txt' if self.foldered else f'{sequence}_{what}.txt'


LAYOUTS = (
    Layout('pytracking', '\t'),
    Layout('got10k', ',', foldered=True),
    Layout('got10k-server', ',', foldered=True, zipped=True),
    Layout('trackingnet', ',', zipped=True, timed=False),
)
SCORES = 'object_presence_scores'


def find_layout(name: str) -> Layout:
    """Raises UserError for a name that is none."""
    for layout in LAYOUTS:
        if layout.name == name:
            return layout
    known = ', '.join(layout.name for layout in LAYOUTS)
    raise UserError(f'no format of tracking results {name!r}; known: {known}')


def check_target(target: Path, layout: Layout) -> None:
    """UserError for a folder where the layout is one file."""
    if layout.zipped and target.suffix != '.zip':
        raise UserError(f'{target}: {layout.name} is one archive; name it FILE.zip')


def write_tracks(
    target: Path, results: Mapping[str, TrackRecord], layout: Layout, whole_pixels: bool = False
) -> None:
    """Write results by sequence name into a folder, or into one file for a zipped layout.

    Raises:
        UserError: the target cannot be written, or the layout holds one repetition alone.
    """
    check_target(target, layout)
    files = {}
    for name, found in results.items():
        if len(found.boxes) > 1 and not layout.foldered:
            raise UserError(f'{layout.name} has one run a sequence, {name} {len(found.boxes)}; '
                            'write the others elsewhere')  # fmt: skip
        if found.times and layout.timed:
            files[layout.beside(name, 'time')] = numbers_text(found.times, 8)
        if found.scores is not None and layout.name == 'pytracking':
            files[layout.beside(name, SCORES)] = numbers_text([found.scores], 6)
        for repetition, boxes in enumerate(found.boxes):  # last: whoever has them has the rest
            text = boxes_text(boxes, layout.separator, whole_pixels)
            files[layout.box_file(name, repetition)] = text
    if not layout.zipped:
        for path, text in files.items():
            write_bytes_atomically(target / path, text.encode())
        return

    def pack(stream: BinaryIO) -> None:
        with zipfile.ZipFile(stream, 'w', zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(files):
                entry = zipfile.ZipInfo(path, EPOCH)
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, files[path])

    write_atomically(target, pack)


def read_tracks(source: Path, names: Iterable[str]) -> dict[str, TrackRecord]:
    """The results of the named sequences in a folder or a zip of any layout above.

    Raises:
        UserError: a sequence has no file, or one is broken; names it.
    """
    names = list(names)
    files = _Archive(source) if source.is_file() else _Folder(source)
    layout = _layout(files, names)
    missing = [name for name in names if not files.has(layout.box_file(name))]
    if missing:
        raise UserError(
            f'{source / layout.box_file(missing[0])} is not there ({len(missing)} of {len(names)} '
            'sequences are missing); track every one'
        )
    return {name: _read(files, layout, name) for name in names}


def _layout(files: '_Folder | _Archive', names: list[str]) -> Layout:
    """That of most sequences: a missing one is then named where it should be."""
    plain, foldered = LAYOUTS[:2]
    count = sum(files.has(foldered.box_file(name)) for name in names)
    return foldered if count > sum(files.has(plain.box_file(name)) for name in names) else plain


def _read(files: '_Folder | _Archive', layout: Layout, name: str) -> TrackRecord:
    boxes = [_boxes(files, layout.box_file(name))]
    while layout.foldered and files.has(path := layout.box_file(name, len(boxes))):
        boxes.append(_boxes(files, path))
    times, scores = [], None
    if files.has(path := layout.beside(name, 'time')):
        times = read_numbers(files.text(path), files.where(path))
        if len(times[0]) != len(boxes[0]) or not (np.stack(times) >= 0).all():
            raise UserError(
                f'{files.where(path)}: {len(times[0])} times for {len(boxes[0])} boxes; expected '
                'seconds for each, or no such file'
            )
    if files.has(path := layout.beside(name, SCORES)):
        scores = read_numbers(files.text(path), files.where(path))[0]
        if len(scores) != len(boxes[0]) or not np.isfinite(scores).all():
            raise UserError(
                f'{files.where(path)}: {len(scores)} scores for {len(boxes[0])} boxes; expected a '
                'finite number for each'
            )
    return TrackRecord(boxes, times, scores)


def _boxes(files: '_Folder | _Archive', path: str) -> NDArray:
    text = files.text(path)
    for number, line in enumerate(text.rstrip().splitlines(), start=1):
        if not line.strip():  # left out, it would shift all boxes after it by a frame
            raise UserError(
                f'{files.where(path)}: line {number} is empty; a frame without a box is 0,0,0,0'
            )
    return parse_boxes(text, files.where(path))


class _Folder:
    def __init__(self, root: Path) -> None:
        self.root = root

    def has(self, path: str) -> bool:
        return (self.root / path).is_file()

    def text(self, path: str) -> str:
        return read_text(self.root / path)

    def where(self, path: str) -> str:
        return str(self.root / path)


class _Archive:
    def __init__(self, file: Path) -> None:
        self.file = file
        try:
            with zipfile.ZipFile(file) as archive:
                self.sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
        except BROKEN as error:
            raise UserError(f'{file}: neither a folder nor a zip of results ({error})') from error

    def has(self, path: str) -> bool:
        return path in self.sizes

    def text(self, path: str) -> str:
        if self.sizes[path] > LARGEST:
            raise UserError(f'{self.where(path)}: {self.sizes[path]} bytes are no list of boxes')
        try:
            with zipfile.ZipFile(self.file) as archive:
                return archive.read(path).decode()
        except BROKEN as error:
            raise UserError(f'{self.where(path)}: cannot be read ({error})') from error

    def where(self, path: str) -> str:
        return f'{self.file}/{path}'
