"""Cutting a token grid into square windows, and the shifted ones of Swin (arXiv 2103.14030)."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

Grid = tuple[int, int]
FORBIDDEN = -100.0  # the published value: exp(-100) is 0 in float32, and no row becomes NaN


class WindowPlan(NamedTuple):
    """Side of the windows in tokens, and by how much the odd blocks shift them."""

    size: int
    shift: int


def plan_windows(grid: Grid, window_size: int, small_maps: str) -> WindowPlan:
    """Windows on a map of `grid` tokens.

    small_maps 'pad': always `window_size`, always shifted (the published dense code, mmdet and
    mmseg). 'shrink': a map no larger than the window is one window, or one row of windows, of its
    own shorter side, without shift (the published classifiers).
    """
    if small_maps == 'shrink' and min(grid) <= window_size:
        return WindowPlan(min(grid), 0)
    return WindowPlan(window_size, window_size // 2)


def padded_grid(grid: Grid, size: int) -> Grid:
    """The grid, enlarged at right and bottom to a multiple of the window side."""
    return (grid[0] + -grid[0] % size, grid[1] + -grid[1] % size)


def shift_mask(grid: Grid, plan: WindowPlan, device: torch.device) -> Tensor:
    """Additive mask (windows, N, N) float32 for shifted windows on a padded grid, N = size^2.

    After the cyclic shift the last windows hold tokens from opposite borders, which must not see
    each other. A few comparisons, made once a stage: keeping one mask for every grid met in
    multi-scale training would hold far more memory than this takes time.
    """

    def bands(side: int) -> Tensor:
        position = torch.arange(side, device=device)
        return (position >= side - plan.size).int() + (position >= side - plan.shift).int()

    regions = 3 * bands(grid[0])[:, None] + bands(grid[1])
    rows, columns = grid[0] // plan.size, grid[1] // plan.size
    windows = regions.view(rows, plan.size, columns, plan.size).transpose(1, 2).flatten(2)
    windows = windows.flatten(0, 1)
    apart = windows[:, None] != windows[:, :, None]
    return torch.zeros(apart.shape, device=device).masked_fill(apart, FORBIDDEN)


def window_partition(tokens: Tensor, size: int) -> tuple[Tensor, tuple[int, int]]:
    """tokens (B, H, W, D) -> windows (B * n, size*size, D) and the padded grid (Hp, Wp).

    Zeros fill up the last row and column of windows; they take part in the attention, as in
    ViTDet (arXiv 2203.16527).
    """
    batch, height, width, dim = tokens.shape
    pad_h, pad_w = -height % size, -width % size
    if pad_h or pad_w:
        tokens = F.pad(tokens, (0, 0, 0, pad_w, 0, pad_h))
    padded = (height + pad_h, width + pad_w)
    tokens = tokens.view(batch, padded[0] // size, size, padded[1] // size, size, dim)
    return tokens.transpose(2, 3).reshape(-1, size * size, dim), padded


def window_unpartition(
    windows: Tensor, size: int, padded: tuple[int, int], grid: tuple[int, int]
) -> Tensor:
    """Inverse of `window_partition`: (B * n, size*size, D) -> (B, H, W, D), padding cut off."""
    rows, columns = padded[0] // size, padded[1] // size
    dim = windows.shape[-1]
    tokens = windows.view(-1, rows, columns, size, size, dim).transpose(2, 3)
    return tokens.reshape(-1, *padded, dim)[:, : grid[0], : grid[1]]
