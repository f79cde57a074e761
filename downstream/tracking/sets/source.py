"""One training set as pairs are drawn from it: which sequences are long enough, and how often."""

import os
from collections.abc import Mapping
from collections.abc import Sequence as Sequential
from dataclasses import dataclass
from typing import Any

import numpy as np
from mmengine.logging import print_log

from downstream.tracking.data import Sequence, read_names
from downstream.tracking.sets.coco import CocoSet
from downstream.tracking.sets.got10k import Got10kSet
from downstream.tracking.sets.index import SequenceIndex, TrainingSet, read_index
from downstream.tracking.sets.lasot import LasotSet
from downstream.tracking.sets.trackingnet import TrackingNetSet
from mim_backbones.errors import UserError

# Names in a recipe, and of the roots in a data YAML (tracking/data.py).
SETS: dict[str, type[TrainingSet]] = {
    'lasot': LasotSet,
    'synthetic': LasotSet,
    'got10k': Got10kSet,
    'trackingnet': TrackingNetSet,
    'coco': CocoSet,
}


@dataclass(frozen=True, eq=False)
class Source:
    """A set that is drawn from.

    usable: (F,) bool, frames with a visible target, of all in the index.
    kept: numbers of the sequences that are long enough.
    """

    reader: TrainingSet
    ratio: float
    index: SequenceIndex
    usable: np.ndarray
    kept: np.ndarray

    @property
    def still(self) -> bool:
        return self.reader.still

    def draw(self, rng: np.random.Generator) -> tuple[Sequence, np.ndarray]:
        """A sequence, each as often as another, and its usable frames, sorted."""
        number = self.kept[rng.integers(len(self.kept))]
        own = slice(self.index.starts[number], self.index.starts[number + 1])
        return self.index[number], np.flatnonzero(self.usable[own])


def open_source(said: Mapping[str, Any], min_frames: int, min_visible: int) -> Source:
    """The set of a recipe's entry `name=, ratio=, ...`; videos with fewer frames are left out.

    Raises:
        ValueError: no such set, or a ratio that is none.
        UserError: it holds a test sequence, a file is missing or broken, or no sequence is left.
    """
    arguments = dict(said)
    name, ratio = arguments.pop('name', None), arguments.pop('ratio', 1)
    if name not in SETS or not ratio > 0:
        raise ValueError(f'training set {name!r}, ratio {ratio}; sets: {", ".join(SETS)}; above 0')
    reader = SETS[name](**arguments)
    reader.check()
    index = read_index(reader)
    usable = index.usable()
    counts = np.add.reduceat(usable, index.starts[:-1], dtype=np.int64)
    if reader.still:
        min_frames, min_visible = 1, 1
    long = (np.diff(index.starts) >= min_frames) & (counts >= max(min_visible, 2 - reader.still))
    if not long.any():
        raise UserError(
            f'{index.root}: no sequence has {min_frames} frames, {min_visible} of them with a '
            'visible target; give longer ones or lower min_frames'
        )
    kept = np.flatnonzero(long)
    print_log(
        f'training set {name}, ratio {ratio}: {len(kept)} of {len(index)} sequences, '
        f'{int(counts[kept].sum())} frames, digest {index.digest}',
        'current',
    )
    return Source(reader, ratio, index, usable, kept)


def check_apart(sources: Sequential[Source]) -> None:
    """Refuse training on what another set of LaSOT's layout tests on.

    Raises UserError naming the sequence.
    """
    readers = [one.reader for one in sources if isinstance(one.reader, LasotSet)]
    tested = {
        os.path.realpath(reader.folder(name))
        for reader in readers
        if reader.test_list is not None
        for name in read_names(reader.root, reader.test_list)
    }
    for reader in readers:
        for name in reader.names():
            if os.path.realpath(reader.folder(name)) in tested:
                raise UserError(
                    f'{reader.root / reader.train_list}: {name} is a test sequence of another '
                    'training set; take it out'
                )
