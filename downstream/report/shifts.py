"""Scores on further test sets of the same classes: ImageNet-A, -R, -Sketch, V2."""

from dataclasses import dataclass

import numpy as np

from downstream.report.comparison import ScoreTable
from downstream.report.read.groups import Group, System


@dataclass(frozen=True)
class ShiftRow:
    """One system, over those of its trainings that were scored so.

    values: (set, metric) -> mean in percent, and its deviation over trainings, None of one.
    """

    system: System
    trainings: int
    clean: dict[str, float]
    values: dict[tuple[str, str], tuple[float, float | None]]


@dataclass(frozen=True)
class ShiftTable:
    """Systems of one group. sets: in the order they were met."""

    group: Group
    sets: tuple[str, ...]
    rows: tuple[ShiftRow, ...]


def shift_table(table: ScoreTable) -> ShiftTable | None:
    """None where nothing was scored so."""
    rows = []
    for row in table.rows:
        runs = [run.result for run in row.system.runs]
        found = [(one, one.robustness.shifts) for one in runs if one.robustness is not None]
        found = [(one, shifts) for one, shifts in found if shifts]
        if not found:
            continue
        pairs = [(name, metric) for name, metrics in found[0][1].items() for metric in metrics]
        values = {}
        for name, metric in pairs:
            each = [shifts.get(name, {}).get(metric, np.nan) for _, shifts in found]
            spread = float(np.std(each, ddof=1)) if len(each) > 1 else None
            values[name, metric] = float(np.mean(each)), spread
        clean = {
            metric: float(np.mean([one.metrics[metric] for one, _ in found]))
            for metric in table.group.metrics
        }
        rows.append(ShiftRow(row.system, len(found), clean, values))
    sets = tuple(dict.fromkeys(name for row in rows for name, _ in row.values))
    return ShiftTable(table.group, sets, tuple(rows)) if rows else None
