"""Sequences as loaders read them: whole ones to track, single frames to train on.

Frames for training are decoded once and kept in memory; unreadable ones are skipped, counted and
named.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable, Hashable

import numpy as np
from mmengine.logging import print_log
from torch.utils.data import Dataset

from downstream.registry import DATASETS
from downstream.tracking.data import Sequence, read_sequences
from downstream.tracking.frame import read_frame
from mim_backbones.errors import UserError

# Losing a frame is bad luck, losing many is bad data.
MAX_BAD_SHARE = 0.01
READS_TO_JUDGE = 200


@DATASETS.register_module()
class LasotSequences(Dataset):
    """Whole sequences, for evaluation: item i is `dict(inputs=Sequence)`; batches are lists.

    The longest come first, so that those of a batch, tracked side by side, end at about one time.

    Args:
        root: folder with one folder per class.
        list_file: names of the sequences, relative to `root`.
    """

    metainfo = {'layout': 'lasot'}

    def __init__(self, root: str, list_file: str = 'testing_set.txt') -> None:
        self.sequences = sorted(read_sequences(root, list_file), key=len, reverse=True)

    def __len__(self) -> int:
        return len(self.sequences)

    def __getitem__(self, index: int) -> dict[str, Sequence]:
        return {'inputs': self.sequences[index]}


class FrameCache:
    """Decoded frames up to `max_bytes` in total, the least recently used leave first.

    0 keeps nothing. One per loader process.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.used_bytes = 0
        self._frames: OrderedDict[Hashable, np.ndarray] = OrderedDict()

    def get(self, key: Hashable, read: Callable[[], np.ndarray]) -> np.ndarray:
        """The frame of `key`, from memory or else from `read()`. Do not write into it."""
        if key in self._frames:
            self._frames.move_to_end(key)
            return self._frames[key]
        frame = read()
        if frame.nbytes > self.max_bytes:
            return frame
        self._frames[key] = frame
        self.used_bytes += frame.nbytes
        while self.used_bytes > self.max_bytes:
            _, dropped = self._frames.popitem(last=False)
            self.used_bytes -= dropped.nbytes
        return frame


class FrameReader:
    """Reads frames of sequences through a cache of `cache_mib`. One per loader process."""

    def __init__(self, cache_mib: int) -> None:
        self.cache = FrameCache(cache_mib * 2**20)
        self.reads = 0
        self.bad_reads = 0
        self._named: set[str] = set()

    def read(self, sequence: Sequence, index: int) -> np.ndarray | None:
        """(H, W, 3) uint8 RGB, shared: do not write into it. None for a frame that is unreadable.

        Raises UserError when more than 1 % of (at least 200) reads failed.
        """
        self.reads += 1
        try:
            path = sequence.frame_path(index)
            return self.cache.get(path, lambda: read_frame(path))
        except UserError as error:
            self.bad_reads += 1
            if self.reads >= READS_TO_JUDGE and self.bad_reads > MAX_BAD_SHARE * self.reads:
                raise UserError(
                    f'{self.bad_reads} of {self.reads} frames read for training are unreadable, '
                    f'more than {MAX_BAD_SHARE:.0%}; the last: {error}'
                ) from error
            if str(error) not in self._named:
                self._named.add(str(error))
                print_log(
                    f'skipped, {len(self._named)} so far: {error}', 'current', logging.WARNING
                )
            return None
