"""Where the windows of a picture lie, and which of them can share a forward pass."""

from collections.abc import Sequence

Box = tuple[int, int, int, int]  # first row, one behind the last, first column, one behind the last


def window_boxes(height: int, width: int, crop: Sequence[int], stride: Sequence[int]) -> list[Box]:
    """Windows of `crop` (H, W) pixels every `stride` (H, W) pixels, row by row.

    The last of a row or column ends where the picture does, without padding; a picture smaller than
    a window is one smaller window.
    """
    rows = _spans(height, crop[0], stride[0])
    columns = _spans(width, crop[1], stride[1])
    return [(*row, *column) for row in rows for column in columns]


def _spans(length: int, crop: int, stride: int) -> list[tuple[int, int]]:
    count = max(length - crop + stride - 1, 0) // stride + 1
    ends = [min(i * stride + crop, length) for i in range(count)]
    return [(max(end - crop, 0), end) for end in ends]


def by_shape(boxes: Sequence[Sequence[Box]], most: int) -> list[list[tuple[int, int]]]:
    """Places (picture, window) of windows of equal shape, at most `most` together."""
    shapes: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for i, windows in enumerate(boxes):
        for k, (y1, y2, x1, x2) in enumerate(windows):
            shapes.setdefault((y2 - y1, x2 - x1), []).append((i, k))
    return [
        places[start : start + most]
        for places in shapes.values()
        for start in range(0, len(places), most)
    ]
