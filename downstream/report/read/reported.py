"""Figures that others report, from a CSV, in tables of their own: never mixed with ours.

`report --published` takes numbers of the same task and framework, as the task names its metrics
there. `report --beside` takes what a work reports for the same rows on another task: checkpoint,
metric, value, status and source; value, status and source are empty where no figure is known. What
a study measured of its rows in another way, such as the token diversity of their targets, comes by
the same door with the status 'measured'.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from downstream.report.comparison import ScoreTable
from downstream.report.formats.wording import NOTHING, bounds, number
from downstream.report.read.provenance import TextTable
from mim_backbones.errors import UserError

PUBLISHED_COLUMNS = ('method', 'arch', 'pretrain_data', 'pretrain_epochs', 'task', 'framework',
                     'metric', 'value', 'source')  # fmt: skip
BESIDE_COLUMNS = ('checkpoint', 'metric', 'value', 'status', 'source')
STATUSES = {
    'read': 'printed in a public repository',
    'recalled': 'from memory of the paper; check before quoting',
}
MEASURED = 'measured'  # here


@dataclass(frozen=True)
class PublishedRow:
    """A row of the CSV; here: this report's number for the same method and architecture."""

    method: str
    arch: str
    pretrain_data: str
    pretrain_epochs: str
    framework: str
    metric: str
    value: float
    source: str
    here: float | None = None

    @property
    def difference(self) -> float | None:
        """This report's number minus the reported one, in points."""
        return None if self.here is None else self.here - self.value


@dataclass(frozen=True)
class Beside:
    """metrics: what the figures are. statuses: those that occur -> what they mean.

    measured: whether they are ours.
    """

    metrics: tuple[str, ...]
    table: TextTable
    statuses: dict[str, str]
    note: str
    measured: bool = False

    @property
    def title(self) -> str:
        if self.measured:
            return f'{", ".join(self.metrics).capitalize()}, beside the scores'
        return 'Reported by the work, beside ours'

    @property
    def legend(self) -> str:
        """What the table says, for people."""
        meanings = '; '.join(f'{status}: {meaning}' for status, meaning in self.statuses.items())
        metrics = ', '.join(self.metrics)
        text = (
            f'Reported: {metrics}. None of these was measured here, and ours are '
            'of another task, model and data: compare the order of the rows, not the numbers.'
        )
        if self.measured:
            text = f'Measured here: {metrics}, of what each row learns from.'
        return ' '.join(
            part for part in (text, f'{meanings}.' if meanings else '', self.note) if part
        )


def published_rows(path: Path, tables: Sequence[ScoreTable]) -> list[PublishedRow]:
    """Rows of the frameworks that the protocols of `tables` follow, with nothing changed.

    Raises:
        UserError: the file cannot be read, lacks a column, or a value is no number.
    """
    rows = []
    for line, entry in enumerate(_read_rows(path, PUBLISHED_COLUMNS), start=2):
        for table in tables:
            group = table.group
            metric = group.known.published.get(entry['metric']) if group.known else None
            same = entry['framework'] and entry['framework'] == group.protocol.framework
            if metric is None or not same or group.first.changes:
                continue
            texts = {
                name: entry[name] for name in PUBLISHED_COLUMNS if name not in ('task', 'value')
            }
            here = _same_system(table, entry['method'], entry['arch'], metric)
            value = _number(entry['value'], f'{path} line {line}')
            rows.append(PublishedRow(**texts, value=value, here=here))
    return rows


def beside_ours(path: Path, tables: Sequence[ScoreTable], note: str = '') -> Beside:
    """The work's figures in the file's order, with the headline metrics measured here.

    Args:
        note: a sentence that the legend ends with.

    Raises:
        UserError: the file cannot be read, lacks a column, or holds what is no figure.
    """
    entries = _read_rows(path, BESIDE_COLUMNS)
    columns = [(table, metric) for table in tables for metric in table.group.headline_metrics]
    found = {entry['status'] for entry in entries if entry['value']}
    measured = found == {MEASURED}
    if MEASURED in found and not measured:
        raise UserError(f'{path}: figures measured here and reported ones; give one kind')
    rows = []
    for line, entry in enumerate(entries, start=2):
        figure = NOTHING
        if entry['value']:
            where, status = f'{path} line {line}', entry['status']
            _number(entry['value'], where)
            if not measured and status not in STATUSES:
                raise UserError(f'{where}: status {status!r}; known: {", ".join(STATUSES)}')
            figure = entry['value'] if measured else f'{entry["value"]} ({status})'
        ours = (_ours(table, entry['checkpoint'], metric) for table, metric in columns)
        rows.append((entry['checkpoint'], figure, *ours, entry['source'] or NOTHING))
    here = (f'here: {t.group.task} {t.group.metric_name(metric)}' for t, metric in columns)
    metrics = tuple(dict.fromkeys(entry['metric'] for entry in entries))
    first, last = ('reported', 'source of the reported')
    if measured:
        first, last = (', '.join(metrics), 'measured')
    return Beside(
        metrics,
        TextTable(('checkpoint', first, *here, last), tuple(rows)),
        {status: meaning for status, meaning in STATUSES.items() if status in found},
        note,
        measured,
    )


def _read_rows(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    try:
        with open(path, newline='', encoding='utf-8') as stream:
            reader = csv.DictReader(stream)
            missing = set(columns) - set(reader.fieldnames or ())
            if missing:
                raise UserError(f'{path}: no column {", ".join(sorted(missing))}')
            return list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f'{path}: cannot be read as CSV ({error})') from error


def _number(text: str, where: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise UserError(f'{where}: value {text!r}') from error


def _same_system(table: ScoreTable, method: str, arch: str, metric: str) -> float | None:
    for row in table.rows:
        own = (row.system.method.lower(), row.system.architecture.lower())
        if own == (method.lower(), arch.lower()) and metric in row.scores:
            return row.scores[metric].value
    return None


def _ours(table: ScoreTable, name: str, metric: str) -> str:
    for row in table.rows:
        if name in (row.system.name, row.system.label):
            score = row.scores[metric]
            return f'{number(score.value, 1)} {bounds(score.interval, 1)}'.rstrip()
    return NOTHING
