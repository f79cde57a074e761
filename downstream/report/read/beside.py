"""Figures that a work reports for the same rows, on another task: shown beside ours, never mixed.

`report --beside` takes a CSV of checkpoint, metric, value, status and source; value, status and
source are empty where no figure is known. Numbers of the same task and framework are `published`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from downstream.report.comparison import Table
from downstream.report.formats.wording import NOTHING, bounds, metric_name, number
from downstream.report.read.csv_rows import read_rows
from downstream.report.read.provenance import TextTable
from mim_backbones.errors import UserError

COLUMNS = ('checkpoint', 'metric', 'value', 'status', 'source')
STATUSES = {
    'read': 'printed in a public repository',
    'recalled': 'from memory of the paper; check before quoting',
}


@dataclass(frozen=True)
class Beside:
    """metrics: what the work's figures are. statuses: those that occur -> what they mean."""

    metrics: tuple[str, ...]
    table: TextTable
    statuses: dict[str, str]
    note: str

    @property
    def legend(self) -> str:
        """What the table says, for people."""
        meanings = '; '.join(f'{status}: {meaning}' for status, meaning in self.statuses.items())
        text = (
            f'Reported: {", ".join(self.metrics)}. None of these was measured here, and ours are '
            'of another task, model and data: compare the order of the rows, not the numbers.'
        )
        return ' '.join(
            part for part in (text, f'{meanings}.' if meanings else '', self.note) if part
        )


def beside_ours(path: Path, tables: Sequence[Table], note: str = '') -> Beside:
    """The work's figures in the file's order, with the headline metrics measured here.

    Args:
        note: a sentence that the legend ends with.

    Raises:
        UserError: the file cannot be read, lacks a column, or holds what is no figure.
    """
    entries = read_rows(path, COLUMNS)
    for line, entry in enumerate(entries, start=2):
        _check(entry, f'{path} line {line}')
    columns = [(table, metric) for table in tables for metric in table.group.headline_metrics]
    rows = []
    for entry in entries:
        figure = f'{entry["value"]} ({entry["status"]})' if entry['value'] else NOTHING
        ours = (_ours(table, entry['checkpoint'], metric) for table, metric in columns)
        rows.append((entry['checkpoint'], figure, *ours, entry['source'] or NOTHING))
    here = (f'here: {table.group.task} {metric_name(metric)}' for table, metric in columns)
    found = {entry['status'] for entry in entries}
    return Beside(
        tuple(dict.fromkeys(entry['metric'] for entry in entries)),
        TextTable(('checkpoint', 'reported', *here, 'source of the reported'), tuple(rows)),
        {status: meaning for status, meaning in STATUSES.items() if status in found},
        note,
    )


def _ours(table: Table, name: str, metric: str) -> str:
    for row in table.rows:
        if name in (row.system.name, row.system.label):
            score = row.scores[metric]
            return f'{number(score.value, 1)} {bounds(score.interval, 1)}'.rstrip()
    return NOTHING


def _check(entry: dict[str, str], where: str) -> None:
    if not entry['value']:
        return
    try:
        float(entry['value'])
    except ValueError as error:
        raise UserError(f'{where}: value {entry["value"]!r}') from error
    if entry['status'] not in STATUSES:
        raise UserError(f'{where}: status {entry["status"]!r}; known: {", ".join(STATUSES)}')
