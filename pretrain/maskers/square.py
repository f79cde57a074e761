"""One hidden square, at a random place or in the centre.

SimMIM (arXiv 2111.09886, Table 1) moves the square so that the centre is also seen; the centre
alone is the region that context encoders (arXiv 1604.07379) fill in.
"""

import numpy as np

from pretrain.maskers.units import Grid, UnitMasker, rectangles
from pretrain.registry import TRANSFORMS


def square_masks(n: int, grid: Grid, side: int, rng: np.random.Generator) -> np.ndarray:
    """n squares of side x side cells, every place equally likely: (n, rows, columns) bool."""
    top = rng.integers(0, grid[0] - side, size=n, endpoint=True)
    left = rng.integers(0, grid[1] - side, size=n, endpoint=True)
    sides = np.full(n, side)
    return rectangles(grid, top, left, sides, sides)


def central_mask(grid: Grid, side: int) -> np.ndarray:
    """The central square, (rows, columns) bool; half a cell up or left where it cannot be even."""
    mask = np.zeros(grid, dtype=bool)
    top, left = (grid[0] - side) // 2, (grid[1] - side) // 2
    mask[top : top + side, left : left + side] = True
    return mask


class OneSquareMasker(UnitMasker):
    """Sizes and checks of both.

    Args:
        img_size: side of the image in pixels, or (height, width).
        patch_size: side of a backbone patch in pixels.
        unit_px: the square's side and place are multiples of this; a patch if None.
        ratio: share of the image to hide; the side is rounded to whole units. Or give `side_px`.
        side_px: side of the square in pixels.

    Raises:
        ValueError: sizes that do not divide each other, neither or both of ratio and side_px, a
            square that does not fit or leaves nothing visible.
    """

    def __init__(
        self,
        img_size: int | tuple[int, int],
        patch_size: int,
        unit_px: int | None = None,
        ratio: float | None = None,
        side_px: int | None = None,
    ) -> None:
        super().__init__(img_size, patch_size, unit_px)
        rows, columns = self.units
        unit = self.unit * patch_size
        if ratio is not None and side_px is None:
            self.side = max(1, round((self.check_ratio(ratio) * rows * columns) ** 0.5))
        elif side_px is not None and ratio is None:
            if side_px % unit:
                raise ValueError(f'{self.name}: side {side_px} px is no multiple of {unit} px')
            self.side = side_px // unit
        else:
            raise ValueError(f'{self.name}: give either ratio or side_px')
        if not 0 < self.side <= min(rows, columns) or self.side**2 == rows * columns:
            raise ValueError(
                f'{self.name}: a square of {self.side * unit} px does not fit into '
                f'{rows * unit} x {columns * unit} px with something left to see'
            )


@TRANSFORMS.register_module()
class SquareMasker(OneSquareMasker):
    """One square at a random place."""

    def draw_units(self, n: int, rng: np.random.Generator) -> np.ndarray:
        return square_masks(n, self.units, self.side, rng)


@TRANSFORMS.register_module()
class CentralMasker(OneSquareMasker):
    """The central square, always the same."""

    def draw_units(self, n: int, rng: np.random.Generator) -> np.ndarray:
        return np.repeat(central_mask(self.units, self.side)[None], n, axis=0)
