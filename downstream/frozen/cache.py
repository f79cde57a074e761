"""Features of frozen backbones on disk: once computed, read by every epoch, run and protocol.

    FOLDER/DIGEST/KE/KEY.safetensors     maps of one view of one image, bf16, and a checksum
    FOLDER/DIGEST/used                   when it was last opened; locked while a process uses it
    FOLDER/ledger                        bytes of all entries; locked while one is written

DIGEST stands for what computes (weights, preprocessing, blocks, precision), KEY for what is
computed on (`views.py`). An entry appears by a rename: a half-written one is never seen, and one
that is broken later fails its checksum and is computed again. FOLDER is
`$XDG_CACHE_HOME/mimbench/features`, `~/.cache/mimbench/features`, or as the recipe says.

Rule of keeping: entries stay for the next run. When the budget is used up, whole digests that no
process uses go, those opened longest ago first; when none is left to go, or the disk is full,
nothing more is written and the rest is computed at every visit, which a warning says once.
"""

import os
import shutil
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TextIO

import torch
from mmengine.logging import MMLogger
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from mim_backbones.console.atomic_file import clear_drafts, lock, write_atomically
from mim_backbones.errors import UserError

SUFFIX = '.safetensors'
KEPT_FREE = 2**30  # bytes of the disk that are left to checkpoints and others
BROKEN = (OSError, SafetensorError, KeyError, ValueError)


class Entry(NamedTuple):
    """Maps (C, h, w) bf16 of one view, and height and width of the picture it was taken from."""

    maps: tuple[Tensor, ...]
    picture: tuple[int, int]


class FeatureCache:
    """The features of one digest. Any number of processes may read and write them.

    Args:
        digest: hexadecimal, of what computes the features.
        budget: bytes of all entries below `folder`; 0: nothing is written, what is there is read.
        folder: of all digests.

    Attributes:
        full: nothing more is written.
    """

    def __init__(self, digest: str, budget: int, folder: Path) -> None:
        self.root = Path(folder)
        self.home = self.root / digest
        self.budget = budget
        self.full = budget <= 0
        self.in_use: TextIO | None = None
        if self.full:
            return
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with self._ledger():  # nobody clears digests away meanwhile
                self.home.mkdir(exist_ok=True)
                self.in_use = (self.home / 'used').open('a')  # as long as this object lives
                lock(self.in_use.fileno(), wait=True, shared=True)
                os.utime(self.in_use.fileno())
                for below in self.home.iterdir():
                    clear_drafts(below)
                self._note(sum(size_of(home) for home in homes(self.root)))
        except OSError as error:
            self._stop(f'{self.root}: {error.strerror}')

    def get(self, key: str) -> Entry | None:
        """What is kept of a key; None when nothing whole is."""
        try:
            with safe_open(self._file(key), 'pt') as stream:
                about = stream.metadata() or {}
                names = sorted(stream.keys(), key=int)
                maps = tuple(stream.get_tensor(name) for name in names)
            height, width = map(int, about['picture'].split('x'))
        except BROKEN:
            return None
        return Entry(maps, (height, width)) if about['checksum'] == checksum(maps) else None

    def put(self, key: str, entry: Entry) -> None:
        """Keep an entry where there is room."""
        if self.full:
            return
        maps = tuple(each.cpu().contiguous() for each in entry.maps)
        about = {'checksum': checksum(maps), 'picture': '{}x{}'.format(*entry.picture)}
        content = save({str(i): each for i, each in enumerate(maps)}, about)
        path = self._file(key)
        try:
            with self._ledger() as used:
                # Broken, or of another process just now.
                more = len(content) - (path.stat().st_size if path.is_file() else 0)
                if not self._has_room(used, more):
                    return
                # Not waited for: what a loss of power leaves fails its checksum.
                write_atomically(path, lambda file: file.write(content), durable=False)
                self._note(self._read() + more)
        except OSError as error:
            self._stop(f'{self.root}: {error.strerror}')
        except UserError as error:
            self._stop(str(error))

    def _file(self, key: str) -> Path:
        return self.home / key[:2] / f'{key}{SUFFIX}'

    def _has_room(self, used: int, size: int) -> bool:
        """Whether `size` bytes more fit, once unused digests have gone."""
        if used + size > self.budget:
            used -= self._clear(used + size - self.budget)
            self._note(used)
        if used + size > self.budget:
            self._stop(f'the budget of {self.budget / 2**30:.2f} GiB is used up')
        elif shutil.disk_usage(self.home).free < size + KEPT_FREE:
            self._stop(f'the disk of {self.root} is full')
        return not self.full

    def _clear(self, wanted: int) -> int:
        """Removes digests that no process uses, the oldest first; how many bytes they had."""
        cleared = 0
        others = [home for home in homes(self.root) if home != self.home]
        for home in sorted(others, key=lambda home: (home / 'used').stat().st_mtime):
            if cleared >= wanted:
                break
            with (home / 'used').open('a') as used:
                if lock(used.fileno(), wait=False):
                    cleared += size_of(home)
                    shutil.rmtree(home, ignore_errors=True)
        return cleared

    @contextmanager
    def _ledger(self) -> Iterator[int]:
        """Its bytes, while no other process writes."""
        with (self.root / 'ledger').open('a') as stream:
            lock(stream.fileno(), wait=True)
            yield self._read()

    def _read(self) -> int:
        text = (self.root / 'ledger').read_text()
        return int(text) if text.isdigit() else 0

    def _note(self, used: int) -> None:
        (self.root / 'ledger').write_text(str(used))

    def _stop(self, why: str) -> None:
        self.full = True
        MMLogger.get_current_instance().warning(
            f'features are kept no longer ({why}): the rest is computed at every visit'
        )


def default_folder() -> Path:
    """See the module."""
    root = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
    return Path(root) / 'mimbench' / 'features'


def checksum(maps: Sequence[Tensor]) -> str:
    total = 0
    for each in maps:
        total = zlib.crc32(each.view(torch.uint8).numpy().data, total)
    return f'{total:08x}'


def homes(root: Path) -> list[Path]:
    """Folders of digests."""
    return [path for path in root.iterdir() if (path / 'used').is_file()]


def size_of(home: Path) -> int:
    """Bytes of the entries of a digest."""
    return sum(path.stat().st_size for path in home.glob(f'*/*{SUFFIX}'))
