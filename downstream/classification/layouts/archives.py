"""Pictures inside tar shards and zip archives, read at random by an index that is made once.

    KEY.jpg + KEY.cls        webdataset's shards: a class (a number or a name) beside each picture
    KEY.jpg + KEY.json       the same, as `label` or `cls` of a JSON object
    CLASS/NAME.jpg           in a zip or tar: folders of classes, whatever lies above them

The index of an archive says where each picture starts, how long it is, and its class. It is kept in
the user's cache under a digest of the archive's path, size and time of change, so that an archive
that changes is indexed again. Seeds, shares and resuming are those of folders: a picture is a place
in the listing, not in a stream.
"""

import glob
import hashlib
import json
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from downstream.classification.layouts.folders import SUFFIXES
from downstream.classification.layouts.listing import Listing
from downstream.evaluation.fingerprint import cache_entry, read_entry, write_entry
from mim_backbones.errors import UserError

ENDINGS = ('.tar', '.zip')
BLOCK = 512  # bytes; a tar is made of such
LOCAL_HEAD = 30  # bytes before the name of a zip's member
STORED, DEFLATED = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED
LABELS = ('.cls', '.json')
LABEL_KEYS = ('label', 'cls')
LONGEST_LABEL = 2**20  # bytes
RANGE = re.compile(r'\{(\d+)\.\.(\d+)\}')


class Member(NamedTuple):
    """A picture in an archive.

    start: of its bytes; in a zip of the head that stands before them.
    size: of its bytes as they lie there.
    packed: how they do, as zipfile counts; None in a tar.
    check: CRC-32 of the picture, in a zip.
    """

    name: str
    label: str
    start: int
    size: int
    packed: int | None = None
    check: int = 0


class Archives:
    """The store. A file is opened for each read, so that processes share nothing.

    Args:
        members: name -> archive and what lies there.
    """

    def __init__(self, members: Mapping[str, tuple[Path, Member]]) -> None:
        self.members = members

    def read(self, name: str) -> bytes:
        path, member = self.members[name]
        with path.open('rb', buffering=0) as stream:
            stream.seek(member.start)
            if member.packed is not None:
                head = stream.read(LOCAL_HEAD)
                lengths = (int.from_bytes(head[place : place + 2], 'little') for place in (26, 28))
                stream.seek(sum(lengths), 1)
            content = stream.read(member.size)
        if len(content) < member.size:
            raise ValueError(f'the archive ends after {len(content)} of its {member.size} bytes')
        if member.packed is None:
            return content
        if member.packed == DEFLATED:
            content = _inflated(content)
        if zlib.crc32(content) != member.check:
            raise ValueError('its checksum is not that of the archive')
        return content


def is_archive(pattern: str) -> bool:
    return pattern.lower().endswith(ENDINGS)


def archives_of(root: Path, pattern: str) -> list[Path]:
    """Files that 'train-{0000..1023}.tar', 'train/*.tar' or 'train.zip' means below root, by name.

    Those of a range or without a wildcard are listed whether they are there or not; of a wildcard
    that fits nothing the pattern is left.
    """
    found = RANGE.search(pattern)
    if found is not None:
        first, last = found[1], found[2]
        numbers = (str(number).zfill(len(first)) for number in range(int(first), int(last) + 1))
        before, behind = pattern[: found.start()], pattern[found.end() :]
        return [path for one in numbers for path in archives_of(root, f'{before}{one}{behind}')]
    if glob.has_magic(pattern):
        fitting = sorted(glob.glob(pattern, root_dir=root))
        return [root / one for one in fitting] or [root / pattern]
    return [root / pattern]


def of_archives(root: Path, pattern: str) -> Listing:
    """Pictures by archive and place in it.

    Raises:
        UserError: an archive is cut short, compressed as a whole, or a picture in it has no class.
    """
    members: dict[str, tuple[Path, Member]] = {}
    for path in archives_of(root, pattern):
        archive = path.relative_to(root) if path.is_relative_to(root) else path
        members |= {f'{archive}/{one.name}': (path, one) for one in indexed(path)}
    pairs = [(name, one.label) for name, (_, one) in members.items()]
    return Listing(pairs, Archives(members))


def contents_digest(root: Path, pattern: str) -> str:
    """SHA-256 over names, classes and sizes of the pictures, and their checksums in a zip."""
    found = hashlib.sha256()
    for path in archives_of(root, pattern):
        found.update(f'{path.name}\n'.encode())
        for one in indexed(path):
            found.update(f'{one.name} {one.label} {one.size} {one.check}\n'.encode())
    return found.hexdigest()


def indexed(path: Path) -> list[Member]:
    """The pictures of an archive, from the cache where it has not changed."""
    about = path.stat()
    state = [about.st_size, about.st_mtime_ns]
    entry = cache_entry('archive', str(path.resolve()))
    kept = read_entry(entry)
    if kept.get('state') == state:
        return [Member(*one) for one in kept['members']]
    found = list(_zip_members(path) if path.suffix.lower() == '.zip' else _tar_members(path))
    write_entry(entry, {'state': state, 'members': found})
    return found


def _tar_members(path: Path) -> Iterator[Member]:
    """Reads heads and labels, seeks over the pictures."""
    pictures: dict[str, tuple[str, int, int]] = {}
    labels: dict[str, str] = {}
    end = 0
    try:
        with path.open('rb') as stream, tarfile.open(fileobj=stream, mode='r:') as archive:
            while (one := archive.next()) is not None:
                archive.members.clear()  # none of a million is asked for again
                end = one.offset_data
                if not one.isreg() or one.issparse():
                    continue
                end += -(-one.size // BLOCK) * BLOCK
                name = one.name.removeprefix('./')
                key, ending = _key(name)
                if name.lower().endswith(SUFFIXES) and not _hidden(name):
                    pictures[name] = (key, one.offset_data, one.size)
                elif ending in LABELS and one.size <= LONGEST_LABEL:
                    stream.seek(one.offset_data)
                    found = _label(path, name, stream.read(one.size))
                    if found:
                        labels[key] = found
            stream.seek(end)
            marked = stream.read(BLOCK)
    except (tarfile.TarError, EOFError) as error:
        raise UserError(
            f'{path}: no whole tar ({error}); fetch it again, or unpack it if it is compressed'
        ) from error
    if not marked or marked.strip(b'\0'):
        raise UserError(f'{path}: cut short or damaged at byte {end}; fetch it again')
    for name, (key, start, size) in pictures.items():
        if key not in labels:
            yield Member(name, _folder(path, name), start, size)
        elif _key(name)[1] in SUFFIXES:  # KEY.seg.png is no picture to classify
            yield Member(name, labels[key], start, size)


def _zip_members(path: Path) -> Iterator[Member]:
    try:
        with zipfile.ZipFile(path) as archive:
            inside = archive.infolist()
    except (zipfile.BadZipFile, OSError, EOFError) as error:
        raise UserError(f'{path}: no whole zip ({error}); fetch it again') from error
    for one in sorted(inside, key=lambda one: one.filename):
        if not one.filename.lower().endswith(SUFFIXES) or _hidden(one.filename):
            continue
        if one.compress_type not in (STORED, DEFLATED) or one.flag_bits & 1:
            raise UserError(
                f'{path}: {one.filename} is encrypted or packed otherwise than by deflate; pack '
                'it again with `zip -0`'
            )
        label = _folder(path, one.filename)
        yield Member(
            one.filename, label, one.header_offset, one.compress_size, one.compress_type, one.CRC
        )


def _key(name: str) -> tuple[str, str]:
    """webdataset's: up to the first dot of the file's name, and what follows, in small letters."""
    folder, slash, file = name.rpartition('/')
    stem, _, ending = file.partition('.')
    return f'{folder}{slash}{stem}', f'.{ending}'.lower()


def _label(path: Path, name: str, content: bytes) -> str:
    """The class that a .cls or .json file gives; '' where a JSON object has none."""
    try:
        text = content.decode('utf-8').strip()
        if not name.lower().endswith('.json'):
            return text
        found = json.loads(text)
    except ValueError as error:
        raise UserError(f'{path}: {name} cannot be read ({error}); pack the shard again') from error
    values: Iterable = (found.get(key) for key in LABEL_KEYS) if isinstance(found, dict) else ()
    return next((str(value) for value in values if value is not None), '')


def _folder(path: Path, name: str) -> str:
    parts = name.split('/')
    if len(parts) < 2:
        raise UserError(
            f'{path}: {name} has no class; put KEY.cls or KEY.json with a `label` beside KEY.jpg, '
            'or pictures into folders of classes'
        )
    return parts[-2]


def _hidden(name: str) -> bool:
    """What macOS packs beside each file."""
    return name.startswith('__MACOSX/') or name.rpartition('/')[2].startswith('._')


def _inflated(content: bytes) -> bytes:
    try:
        return zlib.decompress(content, -zlib.MAX_WBITS)
    except zlib.error as error:
        raise ValueError(f'cannot be unpacked ({error})') from error
