"""Scores on further test sets as a table of text, for every format."""

from downstream.report.formats import wording as say
from downstream.report.read.provenance import TextTable
from downstream.report.shifts import ShiftRow, ShiftTable

LEGEND = (
    'Further test sets of the same classes, in percent; predictions among the classes that a set '
    'has pictures of. Means over trainings, without intervals over pictures.'
)


def table_of(table: ShiftTable) -> TextTable:
    """A row for each system and metric."""
    rows = tuple(
        (
            row.system.label,
            table.group.metric_name(metric),
            say.number(row.clean[metric]),
            *(_cell(row, name, metric) for name in table.sets),
            str(row.trainings),
        )
        for row in table.rows
        for metric in table.group.metrics
        if any((name, metric) in row.values for name in table.sets)
    )
    return TextTable(('checkpoint', 'metric', 'test set', *table.sets, 'seeds'), rows)


def _cell(row: ShiftRow, name: str, metric: str) -> str:
    if (name, metric) not in row.values:
        return say.NOTHING
    value, spread = row.values[name, metric]
    if value != value:
        return say.NOTHING  # not every training was scored on it
    return say.number(value) + ('' if spread is None else f' seeds ± {say.number(spread)}')
