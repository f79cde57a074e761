"""Whether the segmentations of a COCO file are whole: said at the start, not in a later epoch."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

BATCH = 4096  # run-length masks that are read at once


def check_masks(annotations: Iterable[dict[str, Any]], images: dict[int, dict[str, Any]]) -> None:
    """Look at every polygon and run-length mask.

    Args:
        annotations: COCO's; those without a segmentation, or of no image, are passed over.
        images: of the file, by id.

    Raises:
        ValueError: the first one that is broken, named by its annotation's id.
    """
    packed: list[tuple[int, str, int]] = []
    for one in annotations:
        segmentation, image = one.get('segmentation'), images.get(one['image_id'])
        if not segmentation or image is None:
            continue
        if isinstance(segmentation, list):
            for polygon in segmentation:
                fault = polygon_fault(polygon)
                if fault:
                    raise ValueError(f'annotation {one["id"]} has {fault}')
            continue
        size = [image['height'], image['width']]
        fault = runs_fault(segmentation, size)
        if fault:
            raise ValueError(f'annotation {one["id"]} has {fault}')
        if isinstance(segmentation['counts'], str):
            packed.append((one['id'], segmentation['counts'], math.prod(size)))
        if len(packed) == BATCH:
            check_packed(packed)
            packed.clear()
    if packed:
        check_packed(packed)


def polygon_fault(polygon: Any) -> str | None:
    """What is wrong with a polygon, x0, y0, x1, y1, ..."""
    if not isinstance(polygon, list):
        return f'a polygon that is {polygon!r}; a segmentation is a list of lists x0, y0, x1, ...'
    if len(polygon) % 2:
        return f'a polygon of {len(polygon)} coordinates; they go in pairs x, y'
    if len(polygon) < 6:
        return f'a polygon of {len(polygon) // 2} points; it takes three'
    try:
        if math.isfinite(sum(polygon)):  # a tenth of the time of looking at each
            return None
    except (TypeError, OverflowError):
        pass
    odd = next((x for x in polygon if not _is_finite(x)), polygon[0])
    return f'a polygon with the coordinate {odd!r}, which is no finite number'


def _is_finite(number: Any) -> bool:
    try:
        return math.isfinite(number)
    except (TypeError, OverflowError):
        return False


def runs_fault(runs: Any, size: list[int]) -> str | None:
    """What is wrong with a run-length mask, but for how a text of counts adds up."""
    if not isinstance(runs, dict) or not {'size', 'counts'} <= set(runs):
        return 'a segmentation that is neither polygons nor a run-length mask (size, counts)'
    if runs['size'] != size:
        return f'a run-length mask of size {runs["size"]} in an image of {size} (height, width)'
    counts = runs['counts']
    if isinstance(counts, str):
        return None
    if not isinstance(counts, list) or any(type(n) is not int or n < 0 for n in counts):
        return 'a run-length mask whose counts are neither a text nor numbers from 0'
    if sum(counts) != math.prod(size):
        return _adds_up(sum(counts), math.prod(size))
    return None


def check_packed(masks: list[tuple[int, str, int]]) -> None:
    """Whether compressed counts can be read and cover their images.

    A character holds five bits of a number and whether more follow, lowest first; from the fourth
    number on they are differences to the one before the last. All masks are read at once.

    Args:
        masks: annotation id, counts, pixels of the image.

    Raises:
        ValueError: the first one that is broken.
    """
    for name, text, _ in masks:
        if not text or min(text) < '0' or max(text) > 'o':
            raise ValueError(f'annotation {name} has a run-length mask that cannot be decoded')
    lengths = np.array([len(text) for _, text, _ in masks])
    code = np.frombuffer(''.join(text for _, text, _ in masks).encode(), np.uint8).astype(int) - 48
    last = code < 32  # of a number
    ends = np.cumsum(lengths)
    open_ended = np.flatnonzero(~last[ends - 1])
    if len(open_ended):
        name = masks[open_ended[0]][0]
        raise ValueError(f'annotation {name} has a run-length mask that is cut off')
    stop = np.flatnonzero(last)
    start = np.concatenate([[0], stop[:-1] + 1])
    shift = 5 * (np.arange(len(code)) - np.repeat(start, stop - start + 1))
    number = np.add.reduceat((code & 31) << np.minimum(shift, 60), start)
    number -= np.where(code[stop] & 16, 1 << np.minimum(shift[stop] + 5, 62), 0)
    # A difference counts in its own number and in every second one after it.
    count = np.add.reduceat(last.astype(int), ends - lengths)
    first = np.cumsum(count) - count
    place = np.arange(len(number)) - np.repeat(first, count)
    behind = np.repeat(count, count) - 1 - place
    times = np.where(place == 0, 1, behind // 2 + 1)
    total = np.add.reduceat(number * times, first)
    pixels = np.array([each for _, _, each in masks])
    wrong = np.flatnonzero(total != pixels)
    if len(wrong):
        i = wrong[0]
        raise ValueError(f'annotation {masks[i][0]} has {_adds_up(int(total[i]), int(pixels[i]))}')


def _adds_up(found: int, pixels: int) -> str:
    return f'a run-length mask that covers {found} pixels of {pixels}, so that it cannot be decoded'
