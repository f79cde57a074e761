"""Hiera's token layout: square mask units in raster order, tokens in raster order inside of each.

(B, U, m, m, C): U units, m x m tokens each. Dropping hidden units, attention inside of a unit and
pooling by 2 x 2 are then plain indexing.
"""

from torch import Tensor

Grid = tuple[int, int]


def to_units(maps: Tensor, side: int) -> Tensor:
    """(B, C, H, W) -> (B, U, side, side, C); H and W are multiples of side."""
    batch, channels, height, width = maps.shape
    units = maps.view(batch, channels, height // side, side, width // side, side)
    return units.permute(0, 2, 4, 3, 5, 1).reshape(batch, -1, side, side, channels)


def from_units(units: Tensor, grid: Grid) -> Tensor:
    """Inverse of `to_units`: (B, U, m, m, C), units of `grid` -> (B, C, rows * m, columns * m)."""
    batch, _, side, _, channels = units.shape
    rows, columns = grid
    maps = units.reshape(batch, rows, columns, side, side, channels).permute(0, 5, 1, 3, 2, 4)
    return maps.reshape(batch, channels, rows * side, columns * side)


def pool_units(units: Tensor) -> Tensor:
    """Maximum of 2 x 2 tokens: (B, U, m, m, C) -> (B, U, m/2, m/2, C)."""
    return units.unflatten(3, (-1, 2)).unflatten(2, (-1, 2)).amax(dim=(3, 5))
