"""Decoded frames kept in memory, the least recently used leave first."""

from collections import OrderedDict
from collections.abc import Callable, Hashable

import numpy as np


class FrameCache:
    """Holds arrays up to `max_bytes` in total; 0 keeps nothing. One per loader process."""

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
