"""Reads a units file of any kind."""

from pathlib import Path

from downstream.results.units import UnitScores, read_arrays
from downstream.task import tasks
from mim_backbones.errors import UserError


def load_units(path: Path) -> UnitScores:
    """Reads what `UnitScores.save` wrote, as the class that wrote it.

    Raises:
        UserError: the file is missing, broken, or of a kind this version does not know.
    """
    kind, names, arrays = read_arrays(path)
    kinds = {
        units.kind: units for task in tasks().values() if task.units for units in [task.units()]
    }
    if kind not in kinds:
        raise UserError(f'{path}: unknown kind of units {kind!r}; known: {", ".join(kinds)}')
    return kinds[kind].rebuild(path, names, arrays)
