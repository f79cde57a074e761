"""What all maskers share: sizes in pixels in, masks on the backbone's patch grid out."""

from abc import ABC, abstractmethod

import numpy as np

Grid = tuple[int, int]  # (rows, columns)
LARGEST = 4096  # pixels a side of an image; nobody pre-trains on more


def units_to_patches(units: np.ndarray, unit: int) -> np.ndarray:
    """(..., h, w) bool of units -> (..., h * unit, w * unit) bool of patches."""
    return units.repeat(unit, axis=-2).repeat(unit, axis=-1) if unit > 1 else units


def rectangles(
    grid: Grid, top: np.ndarray, left: np.ndarray, height: np.ndarray, width: np.ndarray
) -> np.ndarray:
    """Corners and sizes (n,) in cells -> (n, rows, columns) bool, True inside."""
    row, column = np.arange(grid[0]), np.arange(grid[1])
    in_rows = (row >= top[:, None]) & (row < (top + height)[:, None])
    in_columns = (column >= left[:, None]) & (column < (left + width)[:, None])
    return in_rows[:, :, None] & in_columns[:, None, :]


class UnitMasker(ABC):
    """Hides whole units: squares of pixels, each one or more patches wide.

    A subclass says which units, in `draw_units`.

    Args:
        img_size: side of the image in pixels, or (height, width).
        patch_size: side of a backbone patch in pixels.
        unit_px: side of a unit in pixels; a patch if None.

    Attributes:
        grid: (H/p, W/p), the shape of a mask.
        units: (rows, columns) of units.
        unit: patches along a unit's side.

    Raises:
        ValueError: sizes that do not divide each other.
    """

    def __init__(
        self, img_size: int | tuple[int, int], patch_size: int, unit_px: int | None = None
    ) -> None:
        height, width = (img_size, img_size) if isinstance(img_size, int) else img_size
        side = patch_size if unit_px is None else unit_px
        if min(height, width, patch_size, side) < 1:
            raise ValueError(
                f'{self.name}: image {img_size}, unit {side} and patch {patch_size} px must be '
                'positive'
            )
        if max(height, width) > LARGEST:
            raise ValueError(
                f'{self.name}: an image of {img_size} px is no image; at most {LARGEST} a side'
            )
        if height % side or width % side or side % patch_size:
            raise ValueError(
                f'{self.name}: image {img_size}, unit {side} and patch {patch_size} px '
                'must divide each other'
            )
        self.grid: Grid = (height // patch_size, width // patch_size)
        self.units: Grid = (height // side, width // side)
        self.unit = side // patch_size

    @property
    def name(self) -> str:
        return type(self).__name__

    def __call__(self, rng: np.random.Generator) -> np.ndarray:
        """One mask (H/p, W/p) bool, True = hidden."""
        return self.batch(1, rng)[0]

    def batch(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Independent masks (n, H/p, W/p) bool, True = hidden."""
        return units_to_patches(self.draw_units(n, rng), self.unit)

    @abstractmethod
    def draw_units(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """(n, rows, columns) bool, True = hidden unit."""

    def check_ratio(self, ratio: float) -> float:
        """Raises ValueError unless 0 < ratio < 1."""
        if not 0 < ratio < 1:
            raise ValueError(f'{self.name}: ratio {ratio} is not between 0 and 1')
        return ratio
