"""Boxes in text files, one per line: `x,y,w,h`, also with tabs or blanks.

LaSOT writes its truth so (comma), and trackers write their results so (pytracking: tab). Ours are
written with three decimals: truncation to whole pixels, as pytracking and OSTrack do, alone moves
the score of a sequence by up to a point.
"""

import io
from pathlib import Path

import numpy as np

from mim_backbones.console.atomic_file import write_bytes_atomically
from mim_backbones.errors import UserError


def read_boxes(path: str | Path) -> np.ndarray:
    """The boxes of a file: (T, 4) float64 xywh; NaN where the file says so.

    Raises UserError for a file that is missing, empty, or not four numbers on every line.
    """
    lines = [line for line in read_text(path).splitlines() if line.strip()]
    rows = [line.replace(',', ' ').split() for line in lines]
    for number, row in enumerate(rows, start=1):
        if len(row) != 4:
            raise UserError(
                f'{path}: line {number} has {len(row)} values; a box is four numbers, x,y,w,h'
            )
    try:
        boxes = np.array(rows, dtype=np.float64)
    except ValueError as error:
        raise UserError(f'{path}: not a list of boxes x,y,w,h: {error}') from error
    if not len(boxes):
        raise UserError(f'{path}: empty; expected one box x,y,w,h per frame')
    return boxes


def write_boxes(path: str | Path, boxes: np.ndarray) -> None:
    """Write (T, 4) xywh boxes, tab-separated, three decimals; makes the folder.

    Raises UserError when the file cannot be written.
    """
    text = io.StringIO()
    np.savetxt(text, boxes, fmt='%.3f', delimiter='\t')
    write_bytes_atomically(Path(path), text.getvalue().encode())


def read_text(path: str | Path) -> str:
    """The text of an annotation file; UserError when it is not there or no text."""
    try:
        return Path(path).read_text(encoding='utf-8')
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f'{path}: cannot be read ({error}); restore the file') from error
