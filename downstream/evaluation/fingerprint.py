"""Digests of files and of folders, without reading or listing again what has not changed.

A data set's fingerprint is taken over names and sizes of its files. Sets of many files are listed
once: what was found is kept in the user's cache (`$XDG_CACHE_HOME/mimbench`, `~/.cache/mimbench`)
with the time of change of every folder, which moves when a file appears, disappears or is renamed.
A file of such a set that is overwritten in place with another size goes unnoticed; delete the cache
then. Small sets are listed each time. The digest of a large file is kept with its size and time.
"""

import hashlib
import json
import os
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mim_backbones.console.atomic_file import write_bytes_atomically
from mim_backbones.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

MANY = 20_000  # files; fewer are listed in a fraction of a second
LARGE = 2**25  # bytes
SETTLED = 5 * 10**9  # ns: a folder that changed just now may change again within its clock's tick


def listing_digest(folders: Iterable[Path], contents: Iterable[Path] = ()) -> str:
    """16 digits over names and sizes of the files below `folders` and the bytes of `contents`."""
    folders = [Path(folder) for folder in folders]
    digest = hashlib.sha256(_listing(folders).encode())
    for path in contents:
        digest.update(file_digest(path).encode())
    return digest.hexdigest()[:16]


def file_digest(path: str | Path) -> str:
    """SHA-256 of a file's content."""
    path = Path(path).resolve()
    about = path.stat()
    state = [about.st_size, about.st_mtime_ns]
    if about.st_size < LARGE:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    entry = cache_entry('file', str(path))
    kept = read_entry(entry)
    if kept.get('state') == state:
        return kept['digest']
    digest = hashlib.sha256()
    with path.open('rb') as stream:
        while chunk := stream.read(2**20):
            digest.update(chunk)
    write_entry(entry, {'state': state, 'digest': digest.hexdigest()})
    return digest.hexdigest()


def tensors_digest(tensors: 'Mapping[str, Tensor]') -> str:
    """SHA-256 of named tensors: what identifies weights that are no file."""
    import torch

    digest = hashlib.sha256()
    for name, value in sorted(tensors.items()):
        digest.update(f'{name} {value.dtype} {tuple(value.shape)}\n'.encode())
        digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _listing(folders: list[Path]) -> str:
    entry = cache_entry('listing', '\n'.join(str(folder.resolve()) for folder in folders))
    kept = read_entry(entry)
    if kept and all(changed_at(place) == moment for place, moment in kept['folders'].items()):
        return kept['digest']
    digest = hashlib.sha256()
    moments: dict[str, int] = {}
    count = 0
    for folder in folders:
        lines = _walk(folder, moments)
        count += len(lines)
        digest.update(''.join(sorted(lines)).encode())
    if count >= MANY and settled(moments.values()):
        write_entry(entry, {'folders': moments, 'digest': digest.hexdigest()})
    return digest.hexdigest()


def _walk(folder: Path, moments: dict[str, int]) -> list[str]:
    """'NAME SIZE' of every file below, not through links; notes when each folder changed."""
    lines, waiting = [], ['']
    while waiting:
        below = waiting.pop()
        place = f'{folder}/{below}'
        moments[place] = os.stat(place).st_mtime_ns
        with os.scandir(place) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(f'{below}{entry.name}/')
                elif entry.is_file():
                    lines.append(f'{below}{entry.name} {entry.stat().st_size}\n')
    return lines


def settled(moments: Iterable[int]) -> bool:
    """Whether folders that changed at these times (ns) can be told from ones that change now."""
    return max(moments) < time.time_ns() - SETTLED


def changed_at(place: str | Path) -> int | None:
    """Time of a folder's last change in ns; None where it is not there."""
    try:
        return os.stat(place).st_mtime_ns
    except OSError:
        return None


def cache_entry(kind: str, key: str) -> Path:
    """Where what was found out about something is kept."""
    root = Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache')
    return root / 'mimbench' / f'{kind}-{hashlib.sha256(key.encode()).hexdigest()[:32]}.json'


def read_entry(entry: Path) -> dict[str, Any]:
    """What is kept; nothing where it is not there or broken."""
    try:
        return json.loads(entry.read_text())
    except (OSError, ValueError):
        return {}


def write_entry(entry: Path, content: dict[str, Any]) -> None:
    with suppress(UserError):  # a cache that cannot be written costs time, nothing else
        write_bytes_atomically(entry, json.dumps(content).encode())
