"""BEiT's mask: random rectangles until enough is hidden.

paper: arXiv 2106.08254, Algorithm 1; BEiT v2 (arXiv 2208.06366) hides a few single cells more, so
that every mask has exactly the count. Sizes and places come out as in the released code: a
rectangle shorter and narrower than the grid, its corner anywhere it fits, ten tries for each.
"""

from math import ceil, log
from typing import Any, Protocol

import numpy as np

from pretrain.maskers.units import Grid, UnitMasker, rectangles
from pretrain.registry import TRANSFORMS

LARGEST_ASPECT = 1000  # no grid is as long; far beyond it, sides in cells overflow
TRIES = 10  # for each rectangle, after which the mask has found no more


class Draws(Protocol):
    """What rectangles are drawn from; np.random.Generator is one."""

    def random(self, size: Any) -> np.ndarray: ...

    def integers(self, low: Any, high: Any, *, endpoint: bool) -> np.ndarray: ...


def blockwise_masks(
    n: int,
    grid: Grid,
    count: int,
    rng: Draws,
    min_block: int = 16,
    max_block: int | None = None,
    min_aspect: float = 0.3,
    max_aspect: float | None = None,
    exact: bool = True,
) -> np.ndarray:
    """n masks of rectangles.

    Args:
        grid: (rows, columns) of cells.
        count: cells to hide.
        min_block: smallest area to draw, in cells. Larger than what is still to hide, it becomes
            the other end of the range, as published.
        max_block: largest area to draw; `count` if None.
        min_aspect: smallest height / width.
        max_aspect: largest; 1 / min_aspect if None.
        exact: True hides single cells where the rectangles stop short (BEiT v2), False leaves
            the mask with fewer (BEiT).

    Returns:
        (n, rows, columns) bool, True = hidden.
    """
    hidden = np.zeros((n, *grid), dtype=bool)
    missing = np.full(n, count)
    failures = np.zeros(n, dtype=int)
    aspects = (log(min_aspect), log(max_aspect) if max_aspect else -log(min_aspect))
    active = np.arange(n if count else 0)
    while len(active):
        # One try of every mask that is not done yet.
        most = np.minimum(missing[active], max_block or count)
        fitting, place = draw_rectangles(grid, most, min_block, aspects, rng)
        tried = active[fitting]
        block = rectangles(grid, *place)
        gain = np.count_nonzero(block & ~hidden[tried], axis=(1, 2))
        good = (gain > 0) & (gain <= most[fitting])
        accepted = tried[good]
        hidden[accepted] |= block[good]
        missing[accepted] -= gain[good]
        failures[active] += 1
        failures[accepted] = 0
        active = active[(missing[active] > 0) & (failures[active] < TRIES)]
    if exact:
        short = np.flatnonzero(missing)
        if len(short):
            hidden[short] = with_single_cells(hidden[short], missing[short], rng)
    return hidden


def draw_rectangles(
    grid: Grid, most: np.ndarray, min_block: int, aspects: tuple[float, float], rng: Draws
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """One rectangle per mask, its area uniform and its aspect uniform in the logarithm.

    Args:
        most: (n,) largest area of each.
        aspects: logarithms of the extreme aspects.

    Returns:
        Indices (m,) of the rectangles that fit, and their top, left, height, width, (m,) each.
    """
    area = min_block + (most - min_block) * rng.random(len(most))
    aspect = np.exp(aspects[0] + (aspects[1] - aspects[0]) * rng.random(len(most)))
    height = np.rint(np.sqrt(area * aspect)).astype(int)
    width = np.rint(np.sqrt(area / aspect)).astype(int)
    fitting = np.flatnonzero((height < grid[0]) & (width < grid[1]))
    height, width = height[fitting], width[fitting]
    top = rng.integers(0, grid[0] - height, endpoint=True)
    left = rng.integers(0, grid[1] - width, endpoint=True)
    return fitting, (top, left, height, width)


def with_single_cells(hidden: np.ndarray, missing: np.ndarray, rng: Draws) -> np.ndarray:
    """hidden (m, rows, columns) with `missing` (m,) more cells of each, chosen uniformly."""
    flat = hidden.reshape(len(hidden), -1)
    keys = rng.random(flat.shape)
    keys[flat] = 1  # above all keys of visible cells
    order = np.argsort(keys, axis=1)
    chosen = np.zeros_like(flat)
    np.put_along_axis(chosen, order, np.arange(flat.shape[1]) < missing[:, None], axis=1)
    return (flat | chosen).reshape(hidden.shape)


@TRANSFORMS.register_module()
class BlockwiseMasker(UnitMasker):
    """`blockwise_masks` with sizes in pixels; counts and areas are in units.

    BEiT v2 hides 75 of 14 x 14 patches; BEiT's recipe also has `exact=False`.

    Args:
        img_size: side of the image in pixels, or (height, width).
        patch_size: side of a backbone patch in pixels.
        unit_px: side in pixels of what is hidden as a whole; a patch if None.
        ratio: share of units to hide, rounded up; or give `count`.
        count: units to hide.
        min_block, max_block, min_aspect, max_aspect, exact: see `blockwise_masks`.

    Raises:
        ValueError: sizes that do not divide each other, neither or both of ratio and count, a
            count or ratio that hides nothing or everything, empty ranges of area or aspect.
    """

    def __init__(
        self,
        img_size: int | tuple[int, int],
        patch_size: int,
        unit_px: int | None = None,
        ratio: float | None = None,
        count: int | None = None,
        min_block: int = 16,
        max_block: int | None = None,
        min_aspect: float = 0.3,
        max_aspect: float | None = None,
        exact: bool = True,
    ) -> None:
        super().__init__(img_size, patch_size, unit_px)
        cells = self.units[0] * self.units[1]
        if ratio is not None and count is None:
            self.count = ceil(cells * self.check_ratio(ratio))
        elif count is not None and ratio is None:
            self.count = count
        else:
            raise ValueError(f'{self.name}: give either ratio or count')
        if not 0 < self.count < cells:
            raise ValueError(
                f'{self.name}: {self.count} of {cells} units cannot be hidden; give 1 to '
                f'{cells - 1}'
            )
        if min_block < 1 or (max_block is not None and max_block < min_block):
            raise ValueError(
                f'{self.name}: block areas from {min_block} to {max_block} are no range; '
                'min_block is 1 or more and max_block no smaller'
            )
        largest = 1 / min_aspect if max_aspect is None and min_aspect > 0 else max_aspect
        # Written so that NaN fails too.
        if largest is None or not 1 / LARGEST_ASPECT <= min_aspect <= largest <= LARGEST_ASPECT:
            raise ValueError(
                f'{self.name}: aspects from {min_aspect} to {max_aspect} are no range; min_aspect '
                f'is {1 / LARGEST_ASPECT} or more and max_aspect no smaller, up to {LARGEST_ASPECT}'
            )
        self.rules: dict[str, Any] = {
            'min_block': min_block,
            'max_block': max_block,
            'min_aspect': min_aspect,
            'max_aspect': max_aspect,
            'exact': exact,
        }

    def draw_units(self, n: int, rng: Draws) -> np.ndarray:
        return blockwise_masks(n, self.units, self.count, rng, **self.rules)
