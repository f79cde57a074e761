"""SimMIM's mask: square units of pixels hidden at random (arXiv 2111.09886, section 3.2)."""

from math import ceil

import numpy as np

from pretrain.registry import TRANSFORMS

Grid = tuple[int, int]


def random_patch_mask(grid: Grid, unit: int, ratio: float, rng: np.random.Generator) -> np.ndarray:
    """Hide ceil(ratio * units) units of unit x unit patches.

    Returns:
        (H/p, W/p) bool, True = hidden.
    """
    rows, columns = grid[0] // unit, grid[1] // unit
    hidden = np.zeros(rows * columns, dtype=bool)
    hidden[rng.permutation(rows * columns)[: ceil(rows * columns * ratio)]] = True
    return hidden.reshape(rows, columns).repeat(unit, axis=0).repeat(unit, axis=1)


@TRANSFORMS.register_module()
class RandomPatchMasker:
    """`random_patch_mask` with sizes in pixels.

    Args:
        img_size: side of the image in pixels.
        patch_size: side of a backbone patch in pixels.
        unit_px: side of a hidden square in pixels.
        ratio: share of squares to hide.

    Raises:
        ValueError: sizes that do not divide each other, or a ratio outside (0, 1).
    """

    def __init__(self, img_size: int, patch_size: int, unit_px: int = 32, ratio: float = 0.6):
        if img_size % unit_px or unit_px % patch_size:
            raise ValueError(
                f'RandomPatchMasker: image {img_size}, unit {unit_px} and patch {patch_size} px '
                'must divide each other'
            )
        if not 0 < ratio < 1:
            raise ValueError(f'RandomPatchMasker: ratio {ratio} is not between 0 and 1')
        self.grid = (img_size // patch_size, img_size // patch_size)
        self.unit = unit_px // patch_size
        self.ratio = ratio

    def __call__(self, rng: np.random.Generator) -> np.ndarray:
        """A mask (H/p, W/p) bool, True = hidden."""
        return random_patch_mask(self.grid, self.unit, self.ratio, rng)
