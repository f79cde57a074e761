"""Grid-wise sampling: one visible unit in each group of neighbours (MAE, arXiv 2111.06377)."""

import numpy as np

from pretrain.maskers.units import Grid, UnitMasker
from pretrain.registry import TRANSFORMS


def lattice_masks(grid: Grid, every: Grid, top: np.ndarray, left: np.ndarray) -> np.ndarray:
    """Visible are the cells at (top + i * every[0], left + j * every[1]) for all whole i, j.

    Args:
        top, left: (n,) place of the visible cell in each group.

    Returns:
        (n, rows, columns) bool, True = hidden.
    """
    row = np.arange(grid[0]) % every[0] == top[:, None]
    column = np.arange(grid[1]) % every[1] == left[:, None]
    return ~(row[:, :, None] & column[:, None, :])


@TRANSFORMS.register_module()
class GridMasker(UnitMasker):
    """`lattice_masks` with sizes in pixels; hides 1 - 1 / (every * every) of the image.

    Args:
        img_size: side of the image in pixels, or (height, width).
        patch_size: side of a backbone patch in pixels.
        unit_px: side of a unit in pixels; a patch if None.
        every: units from one visible unit to the next, or (down, across); 2 hides three of four,
            (1, 2) every other column.
        shift: draw the visible place in the group for each mask; the first one if False, so that
            all masks are the same.

    Raises:
        ValueError: sizes that do not divide each other, or groups that hide nothing or do not
            fill the image.
    """

    def __init__(
        self,
        img_size: int | tuple[int, int],
        patch_size: int,
        unit_px: int | None = None,
        every: int | tuple[int, int] = 2,
        shift: bool = False,
    ) -> None:
        super().__init__(img_size, patch_size, unit_px)
        down, across = (every, every) if isinstance(every, int) else every
        if min(down, across) < 1 or down * across == 1:
            raise ValueError(f'{self.name}: every {every} hides nothing; give 2 or more')
        if self.units[0] % down or self.units[1] % across:
            raise ValueError(
                f'{self.name}: groups of {down} x {across} units do not fill the '
                f'{self.units[0]} x {self.units[1]} units'
            )
        self.every: Grid = (down, across)
        self.shift = shift

    def draw_units(self, n: int, rng: np.random.Generator) -> np.ndarray:
        top, left = np.zeros((2, n), dtype=int)
        if self.shift:
            top = rng.integers(0, self.every[0], size=n)
            left = rng.integers(0, self.every[1], size=n)
        return lattice_masks(self.units, self.every, top, left)
