"""Text of result files: rows of numbers, a frame each.

Written with three decimals. pytracking and OSTrack truncate boxes to whole pixels, toward zero;
`whole_pixels` does as they do. Read with commas, tabs or blanks.
"""

import io

import numpy as np
from numpy.typing import NDArray

from mim_backbones.errors import UserError


def boxes_text(boxes: NDArray, separator: str, whole_pixels: bool = False) -> str:
    """(T, 4) xywh -> T lines."""
    if whole_pixels:
        return _text(boxes.astype(np.int64), '%d', separator)
    return _text(boxes, '%.3f', separator)


def numbers_text(columns: list[NDArray], decimals: int, separator: str = ',') -> str:
    """Columns (T,) of one repetition each -> T lines."""
    return _text(np.stack(columns, axis=1), f'%.{decimals}f', separator)


def read_numbers(text: str, where: str) -> list[NDArray]:
    """The columns of a file of times or scores, (T,) float64 each.

    Raises UserError for a file that is empty, ragged, or not of numbers.
    """
    rows = [line.replace(',', ' ').split() for line in text.splitlines() if line.strip()]
    if not rows or len({len(row) for row in rows}) != 1:
        raise UserError(f'{where}: expected as many numbers on every line, a line per frame')
    try:
        return list(np.array(rows, dtype=np.float64).T)
    except ValueError as error:
        raise UserError(f'{where}: not a list of numbers: {error}') from error


def _text(values: NDArray, form: str, separator: str) -> str:
    text = io.StringIO()
    np.savetxt(text, values, fmt=form, delimiter=separator)
    return text.getvalue()
