"""Frames for training: decoded once, kept in memory; unreadable ones skipped, counted, named."""

import logging

import numpy as np
from mmengine.logging import print_log

from downstream.tracking.data import Sequence
from downstream.tracking.frame_cache import FrameCache
from mim_backbones.errors import UserError

# Losing a frame is bad luck, losing many is bad data.
MAX_BAD_SHARE = 0.01
READS_TO_JUDGE = 200


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
            return self.cache.get((sequence.name, index), lambda: sequence.read_frame(index))
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
