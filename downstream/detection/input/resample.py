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
CHUNK = 1 << 16  # sums at a time: they stay in the cache of a core


def resize_part(image: np.ndarray, resized: Size, offset: Size, part: Size) -> np.ndarray:
    """A window of a picture as it would be after a resize.

    Args:
        image: (h, w, 3) uint8, contiguous.
        resized: size of the whole picture after the resize.
        offset: (top, left) of the window in it.
        part: size of the window.

    Returns:
        (*part, 3) uint8, a view of (3, *part) in memory: what torch wants in the end.
    """
    out = np.empty((3, *part), np.uint8)
    if part == resized:
        whole = np.asarray(Image.fromarray(image).resize(part[::-1], Image.Resampling.BILINEAR))
        for c, plane in enumerate(out):
            cv2.extractChannel(whole, c, plane)
        return out.transpose(1, 2, 0)
    rows, row_weights = _taps(image.shape[0], resized[0], offset[0], part[0])
    columns, column_weights = _taps(image.shape[1], resized[1], offset[1], part[1])
    top, bottom = rows.min(), rows.max() + 1
    left, right = columns.min(), columns.max() + 1
    seen = cv2.transpose(image[top:bottom, left:right])  # (columns, rows, 3)
    across = np.empty((part[1], 3 * (bottom - top)), np.uint8)
    _weigh(seen.reshape(right - left, -1), columns - left, column_weights, across)
    across = cv2.transpose(across.reshape(part[1], -1, 3))  # (rows, part[1], 3)
    for c, plane in enumerate(out):
        _weigh(cv2.extractChannel(across, c), rows - top, row_weights, plane)
    return out.transpose(1, 2, 0)


def nearest_part(mask: np.ndarray, resized: Size, offset: Size, part: Size) -> np.ndarray:
    """`resize_part` of a mask (h, w), each pixel that of the nearest point, as Pillow finds it."""
    index = []
    for had, has, first, count in zip(mask.shape, resized, offset, part, strict=True):
        step = np.full(has, had / has)
        step[0] /= 2
        index.append(np.cumsum(step)[first : first + count].astype(int))  # Pillow adds, too
    return mask[np.ix_(*index)]


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


def _weigh(lines: np.ndarray, index: np.ndarray, weight: np.ndarray, out: np.ndarray) -> None:
    """Weighted sums of (n, m) uint8 lines, t of them for each line of `out` (count, m) uint8."""
    step = max(1, CHUNK // lines.shape[1])
    sums, terms = np.empty((2, step, lines.shape[1]), np.int32)
    between = _is_between(index, weight)
    for first in range(0, len(index), step):
        of, by = index[first : first + step], weight[first : first + step]
        lowest = of.min()
        seen, of = lines[lowest : of.max() + 1], of - lowest
        near = seen.astype(np.int32)
        total, term = sums[: len(of)], terms[: len(of)]
        if between:  # b + (a - b) * weight of a: half the work, the same integer
            near[:-1] -= near[1:]
            near[-1] = 0
        near.take(of[:, 0], 0, total, 'clip')
        total *= by[:, :1]
        for t in range(1, 1 if between else of.shape[1]):
            near.take(of[:, t], 0, term, 'clip')
            term *= by[:, t : t + 1]
            total += term
        total += 1 << (BITS - 1)
        total >>= BITS
        out[first : first + step] = total
        if between:  # modulo 256: what is negative so far comes out right
            out[first : first + step] += seen.take(of[:, 1], 0, mode='clip')


def _is_between(index: np.ndarray, weight: np.ndarray) -> bool:
    """Whether each new line lies between two neighbours, whose weights add up to one."""
    neighbours = index.shape[1] == 2 and (np.diff(index) <= 1).all()
    return bool(neighbours and (weight.sum(1) == 1 << BITS).all())
