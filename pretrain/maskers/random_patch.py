"""SimMIM's mask: square units of pixels hidden at random (arXiv 2111.09886, section 3.2)."""

from math import ceil

import numpy as np

from pretrain.maskers.units import Grid, UnitMasker, units_to_patches
from pretrain.registry import TRANSFORMS

KEYS_AT_ONCE = 1 << 17  # half a megabyte of keys stays in the cache: twice as fast as one draw


def random_patch_mask(
    grid: Grid, unit: int, ratio: float, rng: np.random.Generator | np.random.RandomState
) -> np.ndarray:
    """Hide the first ceil(ratio * units) of a permutation of the units of unit x unit patches.

    The published generator does the same with NumPy's legacy global state: given
    `np.random.RandomState(seed)` this repeats its masks.

    Returns:
        (H/p, W/p) bool, True = hidden.
    """
    rows, columns = grid[0] // unit, grid[1] // unit
    hidden = np.zeros(rows * columns, dtype=bool)
    hidden[rng.permutation(rows * columns)[: ceil(rows * columns * ratio)]] = True
    return units_to_patches(hidden.reshape(rows, columns), unit)


def random_patch_masks(
    n: int, grid: Grid, unit: int, ratio: float, rng: np.random.Generator
) -> np.ndarray:
    """n masks at once, distributed as `random_patch_mask`.

    Returns:
        (n, H/p, W/p) bool, True = hidden.
    """
    rows, columns = grid[0] // unit, grid[1] // unit
    cells = rows * columns
    step = max(1, KEYS_AT_ONCE // cells)
    parts = [
        random_subsets(min(step, n - start), cells, ceil(cells * ratio), rng)
        for start in range(0, n, step)
    ]
    hidden = np.concatenate(parts) if parts else np.zeros((0, cells), dtype=bool)
    return units_to_patches(hidden.reshape(n, rows, columns), unit)


def random_subsets(n: int, cells: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """Uniform subsets of `count` out of `cells`: (n, cells) bool.

    Every cell draws a 32-bit key and the `count` smallest win: a partition per row, no sort. A
    row whose last winner ties with a loser is drawn again, which favours no cell.
    """
    if count == 0:
        return np.zeros((n, cells), dtype=bool)
    keys = rng.integers(0, 1 << 32, (n, cells), dtype=np.uint32)
    chosen = keys <= np.partition(keys, count - 1, axis=1)[:, count - 1 : count]
    tied = np.flatnonzero(np.count_nonzero(chosen, axis=1) > count)
    if len(tied):
        chosen[tied] = random_subsets(len(tied), cells, count, rng)
    return chosen


@TRANSFORMS.register_module()
class RandomPatchMasker(UnitMasker):
    """`random_patch_mask` with sizes in pixels.

    Args:
        img_size: side of the image in pixels, or (height, width).
        patch_size: side of a backbone patch in pixels.
        unit_px: side of a hidden square in pixels; the work tries 4, 8, 16, 32 and 64. None: a
            patch.
        ratio: share of squares to hide, rounded up to whole squares.

    Raises:
        ValueError: sizes that do not divide each other, a ratio outside (0, 1) or one that hides
            everything.
    """

    def __init__(
        self,
        img_size: int | tuple[int, int],
        patch_size: int,
        unit_px: int | None = 32,
        ratio: float = 0.6,
    ) -> None:
        super().__init__(img_size, patch_size, unit_px)
        self.ratio = self.check_ratio(ratio)
        cells = self.units[0] * self.units[1]
        if ceil(cells * ratio) == cells:
            raise ValueError(
                f'{self.name}: ratio {ratio} of {cells} units hides all of them; give smaller '
                'units or a smaller ratio'
            )

    def __call__(self, rng: np.random.Generator | np.random.RandomState) -> np.ndarray:
        """A mask (H/p, W/p) bool, True = hidden."""
        return random_patch_mask(self.grid, self.unit, self.ratio, rng)

    def draw_units(self, n: int, rng: np.random.Generator) -> np.ndarray:
        return random_patch_masks(n, self.units, 1, self.ratio, rng)
