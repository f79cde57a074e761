"""Part of a resized picture, to the last bit what resizing all of it and cropping gives.

Pillow's bilinear resize, which averages over all pixels when it shrinks, is what the published
detectors train with. Its own way to resize a part places the part in single precision: up to a
twentieth of the pixels then differ by a grey level. So a crop is computed here, from Pillow's
fixed-point weights: rows first of the transposed picture, then of the picture.
"""

import cv2
import numpy as np
from PIL import Image

from downstream.detection.input.geometry import Size

BITS = 22  # of Pillow's weights behind the point: 32, less 8 of a pixel, less 2 to spare
CHUNK = 16  # rows at a time: what is summed up stays in the cache of a core


def resize_part(image: np.ndarray, resized: Size, offset: Size, part: Size) -> np.ndarray:
    """A window of a picture as it would be after a resize.

    Args:
        image: (h, w, 3) uint8, contiguous.
        resized: size of the whole picture after the resize.
        offset: (top, left) of the window in it.
        part: size of the window.

    Returns:
        (*part, 3) uint8. Its channels lie apart in memory, as torch wants them.
    """
    if part == resized:
        whole = Image.fromarray(image).resize(resized[::-1], Image.Resampling.BILINEAR)
        return _planes(np.asarray(whole)).transpose(0, 2, 1)
    rows, row_weights = _taps(image.shape[0], resized[0], offset[0], part[0])
    columns, column_weights = _taps(image.shape[1], resized[1], offset[1], part[1])
    top, bottom = rows.min(), rows.max() + 1
    left, right = columns.min(), columns.max() + 1
    seen = cv2.transpose(image[top:bottom, left:right])  # (columns, rows, 3)
    across = _weigh(seen.reshape(right - left, -1), columns - left, column_weights)
    across = cv2.transpose(across.reshape(part[1], bottom - top, 3))  # (rows, part[1], 3)
    down = _weigh(_planes(across).reshape(bottom - top, -1), rows - top, row_weights)
    return down.reshape(part[0], 3, part[1]).transpose(0, 2, 1)


def nearest_part(mask: np.ndarray, resized: Size, offset: Size, part: Size) -> np.ndarray:
    """`resize_part` of a mask (h, w), each pixel that of the nearest point, as Pillow finds it."""
    index = []
    for had, has, first, count in zip(mask.shape, resized, offset, part, strict=True):
        step = np.full(has, had / has)
        step[0] /= 2
        index.append(np.cumsum(step)[first : first + count].astype(int))  # Pillow adds, too
    return mask[np.ix_(*index)]


def _planes(image: np.ndarray) -> np.ndarray:
    """(H, W, 3) -> (H, 3, W), contiguous."""
    out = np.empty((image.shape[0], 3, image.shape[1]), np.uint8)
    for c in range(3):
        out[:, c] = cv2.extractChannel(image, c)
    return out


def _taps(had: int, has: int, first: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Which pixels of a line of `had` make those of one of `has`, and with what weights.

    first, count: pixels of the new line that are asked for.

    Returns:
        (count, t) indices and (count, t) int32 weights; an index without weight is a valid one.
    """
    scale = had / has
    reach = max(scale, 1.0)  # half the width of the triangle that weighs
    centre = (np.arange(first, first + count) + 0.5) * scale
    begin = np.maximum((centre - reach + 0.5).astype(int), 0)
    end = np.minimum((centre + reach + 0.5).astype(int), had)
    index = begin[:, None] + np.arange((end - begin).max())
    weight = 1 - np.abs((index - centre[:, None] + 0.5) / reach)
    weight[(weight < 0) | (index >= end[:, None])] = 0
    weight /= np.cumsum(weight, 1)[:, -1:]  # one after the other: np.sum would add up otherwise
    fixed = (0.5 + weight * (1 << BITS)).astype(np.int32)
    used = fixed.any(0)
    return np.minimum(index, had - 1)[:, used], fixed[:, used]


def _weigh(lines: np.ndarray, index: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(n, m) uint8 lines, weighted sums of t of them: (count, m) uint8."""
    lines = lines.astype(np.int32)
    out = np.empty((len(index), lines.shape[1]), np.uint8)
    total, term = np.empty((2, CHUNK, lines.shape[1]), np.int32)
    for first in range(0, len(index), CHUNK):
        last = min(first + CHUNK, len(index))
        total, term = total[: last - first], term[: last - first]
        np.take(lines, index[first:last, 0], 0, out=total, mode='clip')
        total *= weight[first:last, :1]
        for t in range(1, index.shape[1]):
            np.take(lines, index[first:last, t], 0, out=term, mode='clip')
            term *= weight[first:last, t : t + 1]
            total += term
        total += 1 << (BITS - 1)
        total >>= BITS
        out[first:last] = total
    return out
