"""Relative biases made once for each grid: between two frames their tables do not change."""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn

from mim_backbones.backbones.layers.rel_pos_bias import Grid, RelPosBias


class SettledBias(nn.Module):
    """A RelPosBias that keeps what it made. Tracing finds constants, and no spline to solve."""

    def __init__(self, table: RelPosBias) -> None:
        super().__init__()
        self.table = table
        self.made: dict[Any, Tensor] = {}

    def forward(self, grid: Grid) -> Tensor:
        return self._once(grid, lambda: self.table(grid))

    def joined(self, grids: Sequence[Grid]) -> Tensor:
        return self._once(tuple(grids), lambda: self.table.joined(grids))

    def _once(self, key: Any, make: Callable[[], Tensor]) -> Tensor:
        if key not in self.made:
            self.made[key] = make().detach()
        return self.made[key]


def settle_biases(model: nn.Module) -> None:
    """Every RelPosBias in the model becomes a SettledBias; its weights are to stay as they are."""
    owners = [
        (owner, name)
        for owner in model.modules()
        for name, child in owner.named_children()
        if isinstance(child, RelPosBias)
    ]
    for owner, name in owners:
        setattr(owner, name, SettledBias(getattr(owner, name)))
