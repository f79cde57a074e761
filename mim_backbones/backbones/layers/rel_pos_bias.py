"""Relative position bias of BEiT and SimMIM's ViT, and its geometric resizing.

One learnable value per head and per (row offset, column offset) of query minus key. With a CLS
token three more rows follow: cls -> token, token -> cls, cls -> cls.
"""

from collections.abc import Sequence
from functools import lru_cache

import torch
import torch.nn as nn
from torch import Tensor

Grid = tuple[int, int]
CLS_ROWS = 3


class RelPosBias(nn.Module):
    """Table ((2H-1)*(2W-1) [+ 3], heads) -> additive attention bias for any grid.

    Args:
        grid: (H, W) the table is made for.
        num_heads: attention heads.
        cls_token: whether token 0 is a CLS token (adds the three rows).
    """

    def __init__(self, grid: Grid, num_heads: int, cls_token: bool) -> None:
        super().__init__()
        self.grid = grid
        self.cls_token = cls_token
        rows = (2 * grid[0] - 1) * (2 * grid[1] - 1) + CLS_ROWS * cls_token
        self.relative_position_bias_table = nn.Parameter(torch.zeros(rows, num_heads))

    def forward(self, grid: Grid) -> Tensor:
        """Bias (heads, N, N) for a token grid, N = H*W (+ 1 with CLS, first), raster order."""
        table, extra = self.relative_position_bias_table, CLS_ROWS * self.cls_token
        patches = self.joined([grid])
        if not self.cls_token:
            return patches
        from_cls, to_cls, cls_cls = table[-extra:, :, None, None].unbind()  # (heads, 1, 1) each
        count = patches.shape[-1]
        first = torch.cat([cls_cls, from_cls.expand(-1, -1, count)], dim=2)
        rest = torch.cat([to_cls.expand(-1, count, -1), patches], dim=2)
        return torch.cat([first, rest], dim=1)

    def joined(self, grids: Sequence[Grid]) -> Tensor:
        """Bias (heads, N, N) for the patches of several images in one sequence, no CLS.

        Two patches of one image have its offsets; between images there are none, hence 0.
        """
        count = len(self.relative_position_bias_table) - CLS_ROWS * self.cls_token
        table = self.relative_position_bias_table[:count]
        parts = [
            offset_bias(resize_rel_pos_table(table, self.grid, grid, 0), grid) for grid in grids
        ]
        if len(parts) == 1:
            return parts[0]
        return torch.stack([torch.block_diag(*head) for head in zip(*parts, strict=True)])


def offset_bias(table: Tensor, grid: Grid) -> Tensor:
    """Offset table ((2H-1)*(2W-1), heads) -> bias (heads, H*W, H*W), [query, key].

    Row of the table: (row offset + H - 1) * (2W - 1) + column offset + W - 1, query minus key.
    All keys of one query are an H x W window of the table turned by 180 degrees, so that windows
    replace an index of N x N numbers, which would be slow to build and to differentiate.
    """
    height, width = grid
    turned = table.T.unflatten(1, (2 * height - 1, 2 * width - 1)).flip(1, 2)
    windows = turned.unfold(1, height, 1).unfold(2, width, 1)  # (heads, H, W, H, W)
    return windows.flip(1, 2).reshape(-1, height * width, height * width)


def resize_rel_pos_table(table: Tensor, source: Grid, target: Grid, num_extra: int) -> Tensor:
    """Resize an offset table from one grid to another; the last `num_extra` rows stay.

    The published geometric method (reference: SimMIM and BEiT fine-tuning): source offsets are
    placed at 0, +-1, +-(1+q), +-(1+q+q^2), ..., the target's at the integers, and a cubic spline
    runs through them. Linear in the table, hence differentiable.

    Args:
        table: (rows, heads).
    """
    if source == target:
        return table
    body, extra = table[: len(table) - num_extra], table[len(table) - num_extra :]
    offsets = body.view(2 * source[0] - 1, 2 * source[1] - 1, -1)
    vertical = spline_matrix(2 * source[0] - 1, 2 * target[0] - 1).to(table)
    horizontal = spline_matrix(2 * source[1] - 1, 2 * target[1] - 1).to(table)
    resized = torch.einsum('ai,bj,ijh->abh', vertical, horizontal, offsets)
    return torch.cat([resized.flatten(0, 1), extra])


def geometric_offsets(source: int, target: int) -> Tensor:
    """Where the `source` offsets lie on the integer axis of `target` offsets, (source,) float64.

    q is found by bisection on [1.01, 1.5] to 1e-6; the last midpoint tried is used, so that the
    tables equal the published ones.
    """
    steps = source // 2
    left, right = 1.01, 1.5
    q = (left + right) / 2
    while right - left > 1e-6:
        q = (left + right) / 2
        reach = (1 - q**steps) / (1 - q)
        if reach > target // 2:
            right = q
        else:
            left = q
    distance = torch.cumsum(q ** torch.arange(steps, dtype=torch.float64), 0)
    return torch.cat([-distance.flip(0), distance.new_zeros(1), distance])


@torch.compiler.assume_constant_result  # torch.compile traces neither the solver nor the cache
def spline_matrix(source: int, target: int) -> Tensor:
    """(target, source) float64: values of the not-a-knot cubic spline at the integer offsets.

    Targets beyond the last source offset take its value: no extrapolation.
    """
    return _spline_matrix(source, target)


@lru_cache(maxsize=64)
def _spline_matrix(source: int, target: int) -> Tensor:
    if source == target:
        return torch.eye(source, dtype=torch.float64)
    knots = geometric_offsets(source, target)
    points = torch.arange(target, dtype=torch.float64) - target // 2
    return cubic_spline_matrix(knots, points.clamp(knots[0], knots[-1]))


def cubic_spline_matrix(knots: Tensor, points: Tensor) -> Tensor:
    """(points, knots): not-a-knot cubic spline through unit vectors at `knots`, at `points`.

    Solves for the second derivatives M of the spline (a linear system in the values), with the
    third derivative continuous at the second and the last but one knot. Fewer than four knots
    leave a polynomial through all of them.
    """
    count = len(knots)
    if count < 4:
        others = [[k for k in range(count) if k != j] for j in range(count)]
        columns = [
            torch.stack([(points - knots[k]) / (knots[j] - knots[k]) for k in ks]).prod(0)
            if ks
            else torch.ones_like(points)
            for j, ks in enumerate(others)
        ]
        return torch.stack(columns, dim=1)
    h = knots.diff()
    system = torch.zeros(count, count, dtype=torch.float64)
    values = torch.zeros(count, count, dtype=torch.float64)
    for i in range(1, count - 1):
        system[i, i - 1], system[i, i], system[i, i + 1] = h[i - 1], 2 * (h[i - 1] + h[i]), h[i]
        values[i, i - 1], values[i, i + 1] = 6 / h[i - 1], 6 / h[i]
        values[i, i] = -6 / h[i - 1] - 6 / h[i]
    system[0, 0], system[0, 1], system[0, 2] = h[1], -(h[0] + h[1]), h[0]
    system[-1, -3], system[-1, -2], system[-1, -1] = h[-1], -(h[-2] + h[-1]), h[-2]
    second = torch.linalg.solve(system, values)  # (knots, knots): M in terms of the values

    cell = (torch.searchsorted(knots, points, right=True) - 1).clamp(0, count - 2)
    width = h[cell][:, None]
    left = (knots[cell + 1] - points)[:, None]
    right = (points - knots[cell])[:, None]
    unit = torch.eye(count, dtype=torch.float64)
    return (
        second[cell] * left**3 / (6 * width)
        + second[cell + 1] * right**3 / (6 * width)
        + (unit[cell] / width - second[cell] * width / 6) * left
        + (unit[cell + 1] / width - second[cell + 1] * width / 6) * right
    )
