"""The square a tracker looks at: which pixels, how they become a crop, and boxes in and out of it.

    side = ceil(sqrt(w * h) * factor), centred on the box, zeros beyond the image, bilinear resize

`published=True` repeats OSTrack (33b5e12, lib/train/data/processing_utils.py) to the grey level. It
has three slips, which our default corrects:
  * the right and bottom padding is one pixel more than needed, so a crop that reaches the image's
    last column or row replaces it by black;
  * labels put the crop's centre at (size - 1) / 2 instead of size / 2;
  * labels and predictions are placed around the box's exact centre although the crop was cut around
    a rounded one.
The last two together shift a box by up to one pixel of the image.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from mim_backbones.errors import UserError


@dataclass(frozen=True)
class CropWindow:
    """A square of an image, in pixels; parts of it may lie outside.

    left, top, side: the pixels that are cut. centre: of the box it was made around, not rounded.
    """

    left: int
    top: int
    side: int
    centre: tuple[float, float]

    def origin(self, published: bool = False) -> np.ndarray:
        """Where this square starts in the image: (2,) float64."""
        if published:
            return np.array(self.centre) - self.side / 2
        return np.array([self.left, self.top], dtype=np.float64)

    def inside(self, shape: tuple[int, int]) -> bool:
        """Whether all of it lies in an image of (height, width)."""
        height, width = shape
        fits = self.left + self.side <= width and self.top + self.side <= height
        return fits and min(self.left, self.top) >= 0

    def to_crop(self, box: np.ndarray, size: int, published: bool = False) -> np.ndarray:
        """xywh in image pixels -> xywh as fractions of the crop (beyond [0, 1] when outside)."""
        out = np.array(box, dtype=np.float64)
        out[:2] -= self.origin(published)
        out /= self.side
        if published:
            out[:2] -= 0.5 / size
        return out

    def to_image(self, box: np.ndarray, published: bool = False) -> np.ndarray:
        """xywh as fractions of the crop -> xywh in image pixels."""
        out = np.array(box, dtype=np.float64) * self.side
        out[:2] += self.origin(published)
        return out


def window_around(box: np.ndarray, factor: float) -> CropWindow:
    """The window whose side is `factor` times the box's mean side; box: xywh, pixels.

    Raises UserError for a box without area.
    """
    x, y, w, h = (float(value) for value in box)
    side = math.ceil(math.sqrt(max(w, 0) * max(h, 0)) * factor)
    if side < 1:
        raise UserError(f'box {x:g},{y:g},{w:g},{h:g} has no area; nothing to track')
    # Python rounds ties to even, as the published code does.
    left, top = round(x + 0.5 * w - 0.5 * side), round(y + 0.5 * h - 0.5 * side)
    return CropWindow(left, top, side, centre=(x + 0.5 * w, y + 0.5 * h))


def cut(image: np.ndarray, window: CropWindow, size: int, published: bool = False) -> np.ndarray:
    """The window's pixels at `size`: (H, W, 3) uint8 -> (size, size, 3) uint8, black outside."""
    x1, y1, x2, y2 = _inside(window, image.shape[:2], published)
    if (x2 - x1, y2 - y1) == (window.side, window.side):
        patch = image[y1:y2, x1:x2]
    else:
        patch = np.zeros((window.side, window.side, 3), dtype=np.uint8)
        patch[y1 - window.top : y2 - window.top, x1 - window.left : x2 - window.left] = image[
            y1:y2, x1:x2
        ]
    return cv2.resize(patch, (size, size))


def padding_mask(
    window: CropWindow, shape: tuple[int, int], size: int, published: bool = False
) -> np.ndarray:
    """Which pixels of the crop are padding: (size, size) bool, True = some of it from outside."""
    x1, y1, x2, y2 = _inside(window, shape, published)
    outside = np.ones((window.side, window.side))
    outside[y1 - window.top : y2 - window.top, x1 - window.left : x2 - window.left] = 0
    return cv2.resize(outside, (size, size)) > 0


def clip_box(box: np.ndarray, height: int, width: int, margin: float = 10) -> np.ndarray:
    """Keep a box (xywh, pixels) on the image, at least `margin` pixels wide, high and inside."""
    x1, y1, w, h = (float(value) for value in box)
    x2, y2 = x1 + w, y1 + h
    x1, x2 = min(max(0, x1), width - margin), min(max(margin, x2), width)
    y1, y2 = min(max(0, y1), height - margin), min(max(margin, y2), height)
    return np.array([x1, y1, max(margin, x2 - x1), max(margin, y2 - y1)])


def _inside(
    window: CropWindow, shape: tuple[int, int], published: bool = False
) -> tuple[int, int, int, int]:
    """The part of a window that lies in an image (height, width): x1, y1, x2, y2, maybe empty."""
    height, width = (length - 1 if published else length for length in shape)
    x1, x2 = (min(max(x, 0), width) for x in (window.left, window.left + window.side))
    y1, y2 = (min(max(y, 0), height) for y in (window.top, window.top + window.side))
    return x1, y1, x2, y2
