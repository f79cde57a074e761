"""Numbers reported elsewhere, for the same framework only and in a table of their own."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from downstream.report.comparison import Table
from downstream.report.read.csv_rows import read_rows
from mim_backbones.errors import UserError

COLUMNS = ('method', 'arch', 'pretrain_data', 'pretrain_epochs', 'task', 'framework', 'metric',
           'value', 'source')  # fmt: skip
# a published metric -> task and metric here
METRICS = {
    'APbox': ('detection', 'box_mAP'),
    'APmask': ('detection', 'mask_mAP'),
    'mIoU': ('segmentation', 'mIoU'),
    'AUC': ('tracking', 'AUC'),
    'P': ('tracking', 'P'),
    'P_norm': ('tracking', 'P_norm'),
}


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


def published_rows(path: Path, tables: Sequence[Table]) -> list[PublishedRow]:
    """Rows of the frameworks that the protocols of `tables` follow (protocol.framework).

    Raises:
        UserError: the file cannot be read, lacks a column, or a value is no number.
    """
    frameworks = {t.group.protocol.framework: t for t in tables if t.group.protocol.framework}
    rows = []
    for line, entry in enumerate(read_rows(path, COLUMNS), start=2):
        task, metric = METRICS.get(entry['metric'], ('', ''))
        table = frameworks.get(entry['framework'])
        if table is None or table.group.task != task:
            continue
        try:
            value = float(entry['value'])
        except ValueError as error:
            raise UserError(f'{path} line {line}: value {entry["value"]!r}') from error
        texts = {name: entry[name] for name in COLUMNS if name not in ('task', 'value')}
        here = _same_system(table, entry['method'], entry['arch'], metric)
        rows.append(PublishedRow(**texts, value=value, here=here))
    return rows


def _same_system(table: Table, method: str, arch: str, metric: str) -> float | None:
    for row in table.rows:
        own = (row.system.method.lower(), row.system.architecture.lower())
        if own == (method.lower(), arch.lower()) and metric in row.scores:
            return row.scores[metric].value
    return None
