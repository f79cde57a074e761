"""Ways to track, timed in turns: each frame goes through all of them before the next comes.

Whatever else the machine does then slows all of them alike: times belong to the hour, their ratios
to the machine.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import comb
from time import perf_counter, process_time
from typing import Protocol

import numpy as np

from downstream.tracking.tracker import Locator, Tracker

WARM = 3  # frames that count for nothing


class Follower(Protocol):
    """A tracker that tells how long its network took: `TimedTracker`, `PublishedTracker`."""

    box: np.ndarray
    network_seconds: float

    def init(self, image: np.ndarray, box: np.ndarray) -> None: ...

    def update(self, image: np.ndarray) -> tuple[np.ndarray, float]: ...


class TimedTracker(Tracker):
    """`network_seconds`: of `Locator.find` in the last update."""

    network_seconds = 0.0

    def __init__(self, model: Locator) -> None:
        super().__init__(_Timed(model, self._count))  # type: ignore[arg-type]

    def _count(self, seconds: float) -> None:
        self.network_seconds = seconds


class _Timed:
    def __init__(self, model: Locator, count: Callable[[float], None]) -> None:
        self.model, self.count = model, count

    def __getattr__(self, name: str) -> object:
        return getattr(self.model, name)

    def find(self, *inputs: object) -> object:
        begin = perf_counter()
        try:
            return self.model.find(*inputs)  # type: ignore[arg-type]
        finally:
            self.count(perf_counter() - begin)


@dataclass(frozen=True)
class Turns:
    """Milliseconds of each frame (F,): whole, the network alone, and processor time of the whole.

    boxes: (F, 4) xywh.
    """

    whole: np.ndarray
    network: np.ndarray
    processor: np.ndarray
    boxes: np.ndarray


def take_turns(
    ways: Mapping[str, Follower],
    frames: list[np.ndarray],
    boxes: np.ndarray,
    show: Callable[[int], object] = lambda done: None,
) -> dict[str, Turns]:
    """Time every way on every frame, each beginning at the same box.

    Args:
        frames: the template's, then those that count, (H, W, 3) uint8.
        boxes: (F, 4) xywh, where the target was one frame before; the first is the template's.
        show: called with the number of frames done.
    """
    for way in ways.values():
        way.init(frames[0], boxes[0])
        for _ in range(WARM):
            way.box = boxes[0]
            way.update(frames[0])
    names = list(ways)
    spent: dict[str, list[tuple[float, ...]]] = {name: [] for name in names}
    found: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for turn, (frame, box) in enumerate(zip(frames[1:], boxes[1:])):
        first = turn % len(names)  # nobody always follows the same one
        for name in names[first:] + names[:first]:
            way = ways[name]
            way.box = box
            begin, before = perf_counter(), process_time()
            there, _ = way.update(frame)
            whole, processor = perf_counter() - begin, process_time() - before
            spent[name].append((whole, way.network_seconds, processor))
            found[name].append(there)
        show(turn + 1)
    return {name: Turns(*(1e3 * np.array(spent[name])).T, np.stack(found[name])) for name in names}


def median_ratio(slow: np.ndarray, fast: np.ndarray) -> tuple[float, float, float]:
    """Median of slow / fast over turns, and both ends of its 95 % interval.

    The interval is the sign test's: order statistics that enclose the median of any distribution
    with at least that probability, turns taken as independent.
    """
    ratios = np.sort(slow / fast)
    count = len(ratios)
    below, outside = 0, 0.5**count
    while below + 1 < count / 2 and outside + comb(count, below + 1) * 0.5**count <= 0.025:
        below += 1
        outside += comb(count, below) * 0.5**count
    return float(np.median(ratios)), float(ratios[below]), float(ratios[count - 1 - below])
