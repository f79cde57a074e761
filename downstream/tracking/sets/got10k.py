"""GOT-10k's training split (arXiv 1810.11981).

    <root>/train/{list.txt, GOT-10k_Train_000001/{00000001.jpg, groundtruth.txt, absence.label,
    cover.label}}, <root>/val/list.txt, <root>/test/list.txt

A frame is visible where the target is not absent and some of it is not covered.

The VOT challenge forbids a thousand of the 9335 training videos to trackers it tests; their numbers
and pytracking's hold-out (botaoye/OSTrack 33b5e12, lib/train/data_specs) stand in
got10k_vot.json. pytracking and who took its lists, OSTrack and MAE-Lite too, read the numbers of
the forbidden names, which count from 1, as places in list.txt, which count from 0: in a list sorted
by name, they leave out the video after each forbidden one.
"""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np

from downstream.tracking.data import Sequence, read_boxes, read_names, read_text
from mim_backbones.errors import UserError

SPLITS = ('all', 'vot', 'vot-published')
NAME = re.compile(r'GOT-10k_Train_(\d{6})')


class Got10kSet:
    """Its training videos.

    Args:
        root: the folder that holds train/.
        split: 'all'; 'vot', without those that VOT forbids; 'vot-published', the 7086 that OSTrack
            trains on, which leave out others and pytracking's hold-out.
    """

    still = False

    def __init__(self, root: str, split: str = 'vot') -> None:
        if split not in SPLITS:
            raise ValueError(f'Got10kSet: split={split!r}; known: {", ".join(SPLITS)}')
        self.root = Path(root)
        self.split = split

    def check(self) -> None:
        """Raises UserError for a validation or test video among the training videos."""
        for split in ('val', 'test'):
            if (self.root / split / 'list.txt').is_file():
                other = set(read_names(self.root / split, 'list.txt'))
                both = sorted(other.intersection(read_names(self.root / 'train', 'list.txt')))
                if both:
                    raise UserError(
                        f'{self.root}/train/list.txt: names {len(both)} of the {split} split '
                        f'({both[0]}); take them out'
                    )

    def names(self) -> list[str]:
        """Raises UserError for a list of other videos."""
        names = read_names(self.root / 'train', 'list.txt')
        numbers = [NAME.fullmatch(name) for name in names]
        if None in numbers:
            wrong = names[numbers.index(None)]
            raise UserError(
                f'{self.root}/train/list.txt: {wrong} is no training video of GOT-10k; they are '
                'called GOT-10k_Train_000001 and so on'
            )
        left_out = _left_out(self.split)
        kept = [
            name for name, found in zip(names, numbers) if found and int(found[1]) not in left_out
        ]
        if not kept:
            raise UserError(
                f'{self.root}/train/list.txt: split {self.split} has none of its videos'
            )
        return kept

    def watched(self) -> Iterator[Path]:
        """What changes when a video does."""
        for name in self.names():
            folder = self.root / 'train' / name
            yield folder
            for file in ('groundtruth.txt', 'absence.label', 'cover.label'):
                yield folder / file

    def read(self, name: str) -> Sequence:
        """Raises UserError for an annotation that is missing or wrong."""
        folder = self.root / 'train' / name
        boxes = read_boxes(folder / 'groundtruth.txt')
        absent = _labels(folder / 'absence.label', len(boxes), 1)
        cover = _labels(folder / 'cover.label', len(boxes), 8)
        return Sequence(name, folder, boxes, (absent == 0) & (cover > 0), '{:08d}.jpg')


def _labels(path: Path, count: int, highest: int) -> np.ndarray:
    values = read_text(path).split()
    if len(values) != count or not set(values) <= set(map(str, range(highest + 1))):
        raise UserError(
            f'{path}: expected {count} values from 0 to {highest}, one per box of groundtruth.txt; '
            f'found {len(values)}'
        )
    return np.array(values, dtype=int)


@cache
def _left_out(split: str) -> frozenset[int]:
    """Numbers in the names of the videos that a split does without."""
    if split == 'all':
        return frozenset()
    lists = json.loads((Path(__file__).parent / 'got10k_vot.json').read_text())
    if split == 'vot':
        return frozenset(lists['forbidden'])
    return frozenset(place + 1 for place in (*lists['forbidden'], *lists['held_out']))
