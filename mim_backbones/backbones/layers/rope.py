"""Rotary positions on a grid (arXiv 2104.09864, 2403.13298): queries and keys turn with the place.

    angle[i] = coordinate * theta^(-i / n)        n = d / 4 frequencies an axis, d channels a head

Half of a head's channels turn by the row, half by the column; of two tokens only the difference
of the angles reaches the dot product. Releases differ in four things, hence the arguments.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

Grid = tuple[int, int]
# By release. EVA-02 (arXiv 2303.11331): cells as on the 16 x 16 grid of pre-training, whatever the
# grid. DINOv3 (arXiv 2508.10104): one turn from the middle of an image to its border.
ROPES: dict[str, dict[str, Any]] = {
    'eva02': {'theta': 10000.0, 'reference': (16, 16)},
    'dinov3': {'theta': 100.0, 'coordinates': 'centred', 'pairs': 'halves'},
}


class Rotation(NamedTuple):
    """Sines and cosines, (N, d) or (B, 1, N, d) float32, and which channels turn together."""

    sin: Tensor
    cos: Tensor
    pairs: str

    def of(self, keep: Tensor) -> 'Rotation':
        """Of the tokens `keep` (B, V) of each image."""
        return self._replace(sin=self.sin[keep][:, None], cos=self.cos[keep][:, None])

    def __call__(self, x: Tensor) -> Tensor:
        """x (B, heads, prefix + N, d), its last N tokens turned; in x's own precision."""
        prefix = x.shape[2] - self.sin.shape[-2]
        first, tokens = x[:, :, :prefix], x[:, :, prefix:]
        turned = (tokens * self.cos + partners(tokens, self.pairs) * self.sin).to(x.dtype)
        return torch.cat([first, turned], dim=2) if prefix else turned


@dataclass(frozen=True)
class Rope:
    """Rotations for any grid.

    Args:
        head_dim: d.
        theta: base of the frequencies.
        coordinates: 'cells' (0, 1, 2, ...) or 'centred' (2 pi times [-1, 1], middles of cells).
        reference: for cells, the grid (H, W) whose coordinates every other grid is scaled to;
            None takes the cells as they are.
        offset: what is added to the number of a cell.
        column_first: the column turns the first half of the channels and not the row.
        pairs: 'neighbours' (channels 2i and 2i + 1 turn together) or 'halves' (i and i + d / 2).
        rounded: the periods theta^(i / n) are rounded to bfloat16, as stored by some releases.

    Raises:
        ValueError: head_dim is no multiple of 4, or an option has no such value.
    """

    head_dim: int
    theta: float
    coordinates: str = 'cells'
    reference: Grid | None = None
    offset: float = 0.0
    column_first: bool = False
    pairs: str = 'neighbours'
    rounded: bool = False

    def __post_init__(self) -> None:
        if self.head_dim % 4:
            raise ValueError(f'rope: heads of {self.head_dim} channels; it wants a multiple of 4')
        known = ('cells', 'centred'), ('neighbours', 'halves')
        if self.coordinates not in known[0] or self.pairs not in known[1]:
            raise ValueError(
                f'rope: coordinates={self.coordinates!r}, pairs={self.pairs!r}; known: cells or '
                'centred, neighbours or halves'
            )

    def __call__(self, grids: Sequence[Grid], device: torch.device) -> Rotation:
        """The rotation of the tokens of one grid, or of several one after the other."""
        angles = torch.cat([self._angles(grid, device) for grid in grids])
        both = torch.cat([angles, angles], dim=1)
        angles = both if self.pairs == 'halves' else angles.repeat_interleave(2, dim=1)
        return Rotation(angles.sin(), angles.cos(), self.pairs)

    def _angles(self, grid: Grid, device: torch.device) -> Tensor:
        """(H * W, d / 2): of the first axis, then of the second."""
        axes = [self._coordinates(axis, side, device) for axis, side in enumerate(grid)]
        rows, columns = torch.meshgrid(*axes, indexing='ij')
        first, second = (columns, rows) if self.column_first else (rows, columns)
        places = torch.stack([first.flatten(), second.flatten()], dim=1)
        return (places[..., None] / self.periods(device)).flatten(1)

    def _coordinates(self, axis: int, side: int, device: torch.device) -> Tensor:
        cells = torch.arange(side, device=device, dtype=torch.float32) + self.offset
        if self.coordinates == 'centred':
            return 2 * math.pi * (2 * (cells + 0.5) / side - 1)
        return cells if self.reference is None else cells / side * self.reference[axis]

    def periods(self, device: torch.device) -> Tensor:
        """(d / 4,) float32: cells, or units of 2 pi, after which an angle has grown by one."""
        count = self.head_dim // 4
        steps = torch.arange(count, device=device, dtype=torch.float32) / count
        periods = self.theta**steps
        return periods.bfloat16().float() if self.rounded else periods


def make_rope(rope: str | Mapping[str, Any] | None, head_dim: int) -> Rope | None:
    """A name of `ROPES`, or the arguments of `Rope`; None and 'none' for none.

    Raises:
        ValueError: no such name or argument, or what `Rope` refuses.
    """
    if rope is None or rope == 'none':
        return None
    if isinstance(rope, str) and rope not in ROPES:
        raise ValueError(f'MIMViT: rope={rope!r}; known: none, {", ".join(ROPES)}, or a dict')
    options = dict(ROPES[rope] if isinstance(rope, str) else rope)
    if options.get('reference') is not None:
        options['reference'] = tuple(options['reference'])  # a list where it comes from JSON
    try:
        return Rope(head_dim, **options)
    except TypeError as error:
        raise ValueError(f'MIMViT: rope={rope!r}: {error}') from error


def partners(x: Tensor, pairs: str) -> Tensor:
    """What the sine multiplies: of each pair (a, b) of channels, (-b, a)."""
    if pairs == 'halves':
        a, b = x.chunk(2, dim=-1)
        return torch.cat([-b, a], dim=-1)
    a, b = x[..., ::2], x[..., 1::2]
    return torch.stack([-b, a], dim=-1).flatten(-2)
