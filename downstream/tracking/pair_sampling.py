"""How a training pair is drawn: which two frames, where the crop is taken, what is done to it.

The distributions are OSTrack's (botaoye/OSTrack 33b5e12, lib/train/data), the random numbers ours:
everything comes from the generator handed in.
"""

from dataclasses import dataclass

import cv2
import numpy as np


def sample_frames(usable: np.ndarray, max_gap: int, rng: np.random.Generator) -> tuple[int, int]:
    """Template and search frame, out of the sorted frame numbers `usable` (at least two).

    The search frame comes after the template's, less than `max_gap` later; where there is none
    the limit grows by 5 until there is.
    """
    chosen = int(rng.integers(len(usable) - 1))
    template, later = int(usable[chosen]), usable[chosen + 1 :]
    while later[0] >= template + max_gap:
        max_gap += 5
    near = int(np.searchsorted(later, template + max_gap))
    return template, int(later[rng.integers(near)])


@dataclass(frozen=True)
class BoxJitter:
    """Moves the box a crop is cut around, so that the target is not always in its middle.

    scale: size times exp(scale * N(0, 1)), each side alone.
    shift: centre moved by shift * (U - 0.5) mean sides, each axis alone.
    """

    scale: float
    shift: float

    def __call__(self, box: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """xywh -> xywh, (4,) float64."""
        size = box[2:] * np.exp(self.scale * rng.standard_normal(2))
        move = np.sqrt(size.prod()) * self.shift * (rng.random(2) - 0.5)
        return np.concatenate([box[:2] + box[2:] / 2 + move - size / 2, size])


@dataclass(frozen=True)
class Augment:
    """Probabilities and strengths of what changes the pixels of a pair.

    gray, flip: for both crops together; branch_flip: for each crop alone, on top of `flip`;
    brightness: each crop alone, times 1 +- this.
    """

    gray: float = 0.05
    flip: float = 0.5
    branch_flip: float = 0.5
    brightness: float = 0.2

    def draw_both(self, rng: np.random.Generator) -> tuple[bool, bool]:
        """Whether this pair is grey, and whether it is flipped."""
        return bool(rng.random() < self.gray), bool(rng.random() < self.flip)

    def apply(
        self, crop: np.ndarray, box: np.ndarray, both: tuple[bool, bool], rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """(S, S, 3) uint8 RGB and its box (4,) xywh as fractions -> the same, changed."""
        gray, flip = both
        if gray:
            crop = cv2.cvtColor(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        crop = cv2.convertScaleAbs(crop, alpha=1 + self.brightness * (2 * rng.random() - 1))
        # Flipping the crop equals flipping the image before, but for the window's rounding.
        if flip != (rng.random() < self.branch_flip):
            crop = cv2.flip(crop, 1)
            box = np.array([1 - box[0] - box[2], *box[1:]])
        return crop, box
