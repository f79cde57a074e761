"""Processor time of the stages of an input pipeline."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from time import process_time
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Speed:
    """Of one pipeline: images per second of a core, and milliseconds of an image by stage."""

    images_per_second: float
    milliseconds: dict[str, float]


def speed(spent: Sequence[np.ndarray], stages: Sequence[str]) -> Speed:
    """Medians over repetitions of the seconds of an image in each stage."""
    total = median(float(one.sum()) for one in spent)
    by_stage = np.median(spent, axis=0)
    return Speed(1 / total, {n: float(1e3 * s) for n, s in zip(stages, by_stage, strict=True)})


class StageClock:
    """Counts the processor time that a function takes, called by its name in a module or object."""

    def __init__(self, owner: Any, name: str) -> None:
        self.owner, self.name, self.seconds = owner, name, 0.0
        self.call = getattr(owner, name)

    def __enter__(self) -> 'StageClock':
        setattr(self.owner, self.name, self._timed)
        return self

    def __exit__(self, *_: object) -> None:
        setattr(self.owner, self.name, self.call)

    def _timed(self, *args: Any, **kwargs: Any) -> Any:
        begin = process_time()
        try:
            return self.call(*args, **kwargs)
        finally:
            self.seconds += process_time() - begin
