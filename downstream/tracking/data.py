"""LaSOT's layout: which sequences a list names, their boxes, and their frames.

    <root>/<class>/<class>-<n>/{img/%08d.jpg, groundtruth.txt, full_occlusion.txt, out_of_view.txt}
    <root>/training_set.txt, testing_set.txt: one sequence name per line

groundtruth.txt has one box per frame and says how many frames there are; the two flag files hold
comma-separated 0/1. A frame is visible when neither flag is set.
"""

import os
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from downstream.evaluation.fingerprint import listing_digest
from downstream.task import DataCard
from downstream.tracking.frame import read_frame
from mim_backbones.errors import UserError


@dataclass(frozen=True)
class TrackingData:
    """LaSOT layout under `root`, and a list file for each split.

    attributes: folder with a file of attributes for each test sequence, where there is one.
    layout: 'lasot', or 'got10k' for a split of GOT-10k, whose tracks are scored and nothing else.
    synthetic, got10k, trackingnet, coco: roots of the other sets that some protocols train on
        (sets/); synthetic: another folder of LaSOT's layout, with lists of its own.
    """

    root: Path
    train_list: str = 'training_set.txt'
    test_list: str = 'testing_set.txt'
    attributes: str = 'att'
    layout: str = 'lasot'
    synthetic: Path | None = None
    got10k: Path | None = None
    trackingnet: Path | None = None
    coco: Path | None = None

    def wanted(self) -> list[Path]:
        """What must exist."""
        lists = [self.test_list] if self.layout == 'got10k' else [self.train_list, self.test_list]
        others = (self.synthetic, self.got10k, self.trackingnet, self.coco)
        return [self.root, *(self.root / each for each in lists), *filter(None, others)]


@dataclass(frozen=True, eq=False)
class Sequence:
    """One video. boxes: (T, 4) float64 xywh, pixels; visible: (T,) bool.

    frames: file of a frame in `folder`, by its number, the first of which is `first`.
    """

    name: str
    folder: Path
    boxes: np.ndarray
    visible: np.ndarray
    frames: str = 'img/{:08d}.jpg'
    first: int = 1

    def __len__(self) -> int:
        return len(self.boxes)

    def frame_path(self, index: int) -> Path:
        return self.folder / self.frames.format(index + self.first)

    def read_frame(self, index: int) -> np.ndarray:
        """Frame `index`, counted from 0: (H, W, 3) uint8 RGB. UserError when it is no image."""
        return read_frame(self.frame_path(index))


def read_sequences(root: str | Path, list_file: str | Path) -> list[Sequence]:
    """The sequences named in `list_file` (relative to `root` unless absolute).

    Raises UserError naming the folder or file that is missing, or what is wrong in it.
    """
    return [read_sequence(root, name) for name in read_names(root, list_file)]


def read_names(root: str | Path, list_file: str | Path) -> list[str]:
    """The names in a list file, in order.

    Raises UserError when it or the root is missing, or it is empty.
    """
    if not Path(root).is_dir():
        raise UserError(f'{root}: no such folder; give the root that holds the LaSOT classes')
    path = Path(root) / list_file
    names = read_text(path).split()
    if not names:
        raise UserError(f'{path}: names no sequence; write one name per line, as car-1')
    return names


def read_sequence(root: str | Path, name: str) -> Sequence:
    """One sequence with all its files checked: counts agree, and every frame is there."""
    sequence = read_annotation(root, name)
    missing = missing_frames(sequence)
    if missing:
        raise UserError(f'{missing[0]}: no such frame; groundtruth.txt has {len(sequence)} boxes')
    return sequence


def read_annotation(root: str | Path, name: str) -> Sequence:
    """One sequence, its frames not looked for."""
    folder = Path(root) / name.rsplit('-', 1)[0] / name
    if not folder.is_dir():
        raise UserError(f'{folder}: no such folder; LaSOT keeps {name} there')
    boxes = read_boxes(folder / 'groundtruth.txt')
    occluded = _read_flags(folder / 'full_occlusion.txt', len(boxes))
    out_of_view = _read_flags(folder / 'out_of_view.txt', len(boxes))
    sequence = Sequence(name, folder, boxes, ~(occluded | out_of_view))
    if not (boxes[0, 2:] > 0).all():
        raise UserError(f'{folder}/groundtruth.txt: the first box is empty; nothing to track')
    unknown = ~np.isfinite(boxes).all(axis=1)
    wild = np.flatnonzero(unknown & sequence.visible)
    if len(wild):
        raise UserError(
            f'{folder}/groundtruth.txt: line {wild[0] + 1} is no box, though the frame is neither '
            'occluded nor out of view; the flag files mark frames without target'
        )
    boxes[unknown] = 0  # absent, which no evaluator looks at
    return sequence


def missing_frames(sequence: Sequence, there: Container[str] | None = None) -> list[Path]:
    """Frames that the annotation has a box for and the folder no file.

    there: names of the folder's files; listed if not given.
    """
    folder = sequence.frame_path(0).parent
    if there is None:
        there = set(os.listdir(folder)) if folder.is_dir() else set()
    pattern = sequence.frames.rpartition('/')[2]
    files = (pattern.format(index + sequence.first) for index in range(len(sequence)))
    return [folder / file for file in files if file not in there]


def check_split(root: str | Path, train_list: str | Path, test_list: str | Path) -> None:
    """Refuse training on what is tested: UserError naming the sequences on both lists."""
    shared = sorted(set(read_names(root, train_list)) & set(read_names(root, test_list)))
    if shared:
        raise UserError(
            f'{Path(root) / train_list}: {len(shared)} test sequences are in the training list '
            f'({", ".join(shared[:3])}{", .." if len(shared) > 3 else ""}); take them out'
        )


def describe(data: TrackingData) -> DataCard:
    """Raises UserError when a sequence is broken or on both lists."""
    check_split(data.root, data.train_list, data.test_list)
    sequences = [read_sequences(data.root, name) for name in (data.train_list, data.test_list)]
    return DataCard(
        name=data.root.name,
        root=str(data.root),
        fingerprint=listing_digest(
            [sequence.folder for split in sequences for sequence in split],
            (data.root / data.train_list, data.root / data.test_list),
        ),
        train=len(sequences[0]),
        val=len(sequences[1]),
    )


def read_boxes(path: str | Path) -> np.ndarray:
    """The boxes of a file, `x,y,w,h` a line, also with tabs or blanks: (T, 4) float64 xywh.

    NaN where the file says so.

    Raises UserError for a file that is missing, empty, or not four numbers on every line.
    """
    return parse_boxes(read_text(path), path)


def parse_boxes(text: str, where: str | Path) -> np.ndarray:
    """`read_boxes` of a text; `where` it stands is for the errors."""
    lines = [line for line in text.splitlines() if line.strip()]
    rows = [line.replace(',', ' ').split() for line in lines]
    for number, row in enumerate(rows, start=1):
        if len(row) != 4:
            raise UserError(
                f'{where}: line {number} has {len(row)} values; a box is four numbers, x,y,w,h'
            )
    try:
        boxes = np.array(rows, dtype=np.float64)
    except ValueError as error:
        raise UserError(f'{where}: not a list of boxes x,y,w,h: {error}') from error
    if not len(boxes):
        raise UserError(f'{where}: empty; expected one box x,y,w,h per frame')
    return boxes


def read_text(path: str | Path) -> str:
    """The text of an annotation file; UserError when it is not there or no text."""
    try:
        return Path(path).read_text(encoding='utf-8')
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f'{path}: cannot be read ({error}); restore the file') from error


def _read_flags(path: Path, count: int) -> np.ndarray:
    values = read_text(path).replace(',', ' ').split()
    if len(values) != count or not set(values) <= {'0', '1'}:
        raise UserError(
            f'{path}: expected {count} values 0 or 1, one per box of groundtruth.txt; '
            f'found {len(values)}'
        )
    return np.array(values) == '1'
