"""A target that is lost is looked for in the whole picture, by the network that follows it.

    lost     the score is below `lost` for `every` frames: look, and again after as many until it
             is found
    look     windows as large as the search crop, half a side apart, the nearest to the last box
             first, all as one batch; the middle is not preferred
    found    the best of their scores reaches `found`: the box moves there

Meanwhile the tracker goes on as ever. Not published with OSTrack; what it is worth in tier `smoke`
is in docs/tracking.md.
"""

import math
from dataclasses import dataclass

import numpy as np

from downstream.tracking.crop import CropWindow, window_around

OVERHANG = 0.07  # of a window's side beyond the picture: training has no target nearer to its edge
STEP = 0.5  # of a side: the middle half of a window is where training has its targets


@dataclass(frozen=True)
class Redetection:
    """lost, found: scores in (0, 1). every: frames. most: windows looked at in a frame."""

    lost: float
    found: float
    every: int = 2
    most: int = 16

    def __post_init__(self) -> None:
        if not (0 < self.lost < 1 and 0 < self.found < 1 and min(self.every, self.most) >= 1):
            raise ValueError(
                f'{self}: lost and found are scores in (0, 1), every and most 1 or more'
            )

    def is_due(self, frames_lost: int) -> bool:
        """Whether to look in a frame that is the `frames_lost`-th with a low score."""
        return frames_lost > 0 and frames_lost % self.every == 0

    def windows(self, box: np.ndarray, shape: tuple[int, int], factor: float) -> list[CropWindow]:
        """Those of a picture (height, width), the nearest to the box (xywh, pixels) first."""
        around = window_around(box, factor)
        middle = around.side / 2
        grid = [
            CropWindow(round(left), round(top), around.side, (left + middle, top + middle))
            for top in _starts(shape[0], around.side)
            for left in _starts(shape[1], around.side)
        ]
        return sorted(grid, key=lambda one: math.dist(one.centre, around.centre))[: self.most]


def _starts(length: int, side: int) -> list[float]:
    """Where windows start, in pixels, evenly, so that they cover a picture's `length`."""
    first, last = -OVERHANG * side, length - (1 - OVERHANG) * side
    if last <= first:
        return [(length - side) / 2]
    return np.linspace(first, last, math.ceil((last - first) / (STEP * side)) + 1).tolist()
