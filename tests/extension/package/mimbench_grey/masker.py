"""What is hidden: every other row of units."""

import numpy as np

from pretrain.maskers.units import UnitMasker
from pretrain.registry import TRANSFORMS


@TRANSFORMS.register_module()
class StripeMasker(UnitMasker):
    def draw_units(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """(n, rows, columns) bool, True = hidden."""
        rows = np.arange(self.units[0])[:, None] + rng.integers(0, 2, (n, 1, 1))
        return np.broadcast_to(rows % 2 == 0, (n, *self.units)).copy()
