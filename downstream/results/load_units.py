"""Reads a units file of any kind."""

from pathlib import Path

from downstream.detection.units import DetectionUnits
from downstream.results.units import UnitScores, read_arrays
from downstream.segmentation.units import SegmentationUnits
from downstream.tracking.units import TrackingUnits
from mim_backbones.errors import UserError

KINDS: dict[str, type[UnitScores]] = {
    units.kind: units for units in (DetectionUnits, SegmentationUnits, TrackingUnits)
}


def load_units(path: Path) -> UnitScores:
    """Reads what `UnitScores.save` wrote, as the class that wrote it.

    Raises:
        UserError: the file is missing, broken, or of a kind this version does not know.
    """
    kind, names, arrays = read_arrays(path)
    if kind not in KINDS:
        raise UserError(f'{path}: unknown kind of units {kind!r}; known: {", ".join(KINDS)}')
    return KINDS[kind].rebuild(path, names, arrays)
