"""Many rectangles at once, as masks."""

import numpy as np

from pretrain.maskers.units import Grid


def rectangles(
    grid: Grid, top: np.ndarray, left: np.ndarray, height: np.ndarray, width: np.ndarray
) -> np.ndarray:
    """Corners and sizes (n,) in cells -> (n, rows, columns) bool, True inside."""
    row, column = np.arange(grid[0]), np.arange(grid[1])
    in_rows = (row >= top[:, None]) & (row < (top + height)[:, None])
    in_columns = (column >= left[:, None]) & (column < (left + width)[:, None])
    return in_rows[:, :, None] & in_columns[:, None, :]
