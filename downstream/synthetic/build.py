"""Write a world: all items of its parts, in several processes, into a folder that appears whole."""

import json
import multiprocessing
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import yaml

from downstream.synthetic.bank import texture_bank
from downstream.synthetic.classes import WORLD_VERSION
from downstream.synthetic.layouts import ade, coco, imagenet, lasot
from downstream.synthetic.layouts.item import Item
from downstream.synthetic.sizes import PART_NAMES, WorldSize
from mim_backbones.errors import UserError

LAYOUTS = dict(zip(PART_NAMES, (imagenet, coco, ade, lasot)))
STAMP = 'world.json'
_CHUNK = 8  # items sent to a process at a time


@dataclass(frozen=True)
class BuildSummary:
    """What was written, and how fast. Nothing was written when `already_there`."""

    already_there: bool
    counts: dict[str, int]  # part/split -> pictures or sequences
    pictures: int = 0  # a sequence counts as one of the mean length
    seconds: float = 0.0
    workers: int = 1

    @property
    def pictures_per_second_per_worker(self) -> float:
        return self.pictures / max(self.seconds, 1e-9) / self.workers

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        rate = self.pictures_per_second_per_worker
        return {**asdict(self), 'pictures_per_second_per_worker': round(rate, 1)}


def build_world(
    out: Path,
    size: WorldSize,
    seed: int = 0,
    workers: int = 1,
    parts: tuple[str, ...] = PART_NAMES,
    progress: Callable[[int, int], None] | None = None,
) -> BuildSummary:
    """Write `parts` of the world of this size and seed to `out`, with data.yaml and a stamp.

    The bytes do not depend on `workers`. An `out` that already holds the same world is left as
    it is. progress: called with pictures done and in all, about.
    Raises UserError when `out` holds anything else or cannot be written.
    """
    stamp = world_stamp(size, seed, parts)
    items = [item for part in parts for item in LAYOUTS[part].items(size)]
    counts = _count(items)
    workers = max(1, min(workers, len(items)))
    start = time.perf_counter()
    try:
        if _is_there(out, stamp):
            return BuildSummary(True, counts)
        with _folder_that_appears_whole(out) as draft:
            pictures = _write(draft, items, size, seed, workers, parts, progress)
            (draft / STAMP).write_text(json.dumps(stamp, indent=2) + '\n')
    except OSError as error:
        raise UserError(
            f'cannot write {out}: {error.strerror or error}; choose another OUT or make room'
        ) from error
    return BuildSummary(False, counts, pictures, time.perf_counter() - start, workers)


def world_stamp(size: WorldSize, seed: int, parts: tuple[str, ...]) -> dict[str, Any]:
    """What decides the bytes of a world, as JSON."""
    content = {
        'world_version': WORLD_VERSION,
        'seed': seed,
        'parts': [part for part in PART_NAMES if part in parts],
        'size': asdict(size),
    }
    return json.loads(json.dumps(content))  # tuples become lists, as they will when read back


def _count(items: list[Item]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for item in items:
        counts[f'{item.part}/{item.split}'] = counts.get(f'{item.part}/{item.split}', 0) + 1
    return counts


def _is_there(out: Path, stamp: dict[str, Any]) -> bool:
    """True: `out` holds this very world. False: it is missing or empty. Else a UserError."""
    if not out.exists():
        return False
    if not out.is_dir():
        raise UserError(f'{out} is a file; choose a folder')
    if not any(out.iterdir()):
        return False
    path = out / STAMP
    if not path.is_file():
        raise UserError(f'{out} is not empty and no synthetic world; choose another folder')
    try:
        found = json.loads(path.read_text())
    except ValueError:
        found = None
    if found != stamp:
        raise UserError(
            f'{out} holds a synthetic world of another size, seed, version or choice of parts '
            f'(see {path}); remove it or choose another folder'
        )
    return True


@contextmanager
def _folder_that_appears_whole(out: Path) -> Iterator[Path]:
    """A folder beside `out`, renamed to it at the end and removed when anything goes wrong."""
    draft = out.absolute().parent / f'.{out.name}.{os.getpid()}.partial'
    draft.parent.mkdir(parents=True, exist_ok=True)
    draft.mkdir()
    try:
        yield draft
        draft.replace(out)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _write(
    root: Path,
    items: list[Item],
    size: WorldSize,
    seed: int,
    workers: int,
    parts: tuple[str, ...],
    progress: Callable[[int, int], None] | None,
) -> int:
    """Returns the number of pictures written."""
    # Sequences are long: started first, they do not keep one process busy at the end.
    queue = [(root, item, size, seed) for item in sorted(items, key=lambda item: -item.pictures)]
    total, done = sum(item.pictures for item in items), 0
    found: dict[Item, Any] = {}
    for item, record in _run(queue, workers, seed):
        found[item] = record
        done += item.pictures
        if progress is not None:
            progress(done, total)
    sections = {}
    for part in parts:
        records = [(item, found[item]) for item in items if item.part == part]
        sections[part] = LAYOUTS[part].finish(root, size, records)
    if 'pretrain' in parts:
        sections['classification'] = {'root': imagenet.ROOT}  # whose folders are classes
    (root / 'data.yaml').write_text(yaml.safe_dump(sections, sort_keys=False))
    return done


def _run(
    queue: list[tuple[Path, Item, WorldSize, int]], workers: int, seed: int
) -> Iterator[tuple[Item, Any]]:
    """The items' records in any order."""
    if workers == 1:
        with one_opencv_thread():
            yield from map(_write_one, queue)
        return
    # Spawned, not forked: the caller may have threads (torch, OpenCV) that a fork would break.
    context = multiprocessing.get_context('spawn')
    with context.Pool(workers, initializer=_start_worker, initargs=(seed,)) as pool:
        yield from pool.imap_unordered(_write_one, queue, chunksize=_CHUNK)


def _write_one(task: tuple[Path, Item, WorldSize, int]) -> tuple[Item, Any]:
    root, item, size, seed = task
    return item, LAYOUTS[item.part].write(root, item, size, seed)


def _start_worker(seed: int) -> None:
    cv2.setNumThreads(1)
    texture_bank(seed)


@contextmanager
def one_opencv_thread() -> Iterator[None]:
    """Pictures this small are slower with several threads, and processes would compete."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
