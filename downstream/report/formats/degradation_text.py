"""Scores under corruption as tables of text, for every format."""

from downstream.report.comparison import Score
from downstream.report.degradation import DegradationTable
from downstream.report.formats import wording as say
from downstream.report.read.provenance import TextTable
from downstream.robustness.conditions import DRAWN

ERROR_OF = 'top1'


def summary_table(table: DegradationTable) -> TextTable:
    """Clean score, mPC and rPC of the headline metrics; mCE where a system has it."""
    group = table.group
    with_error = any(row.error for row in table.rows)
    rows = tuple(
        (
            row.system.label,
            group.metric_name(metric),
            say.number(row.clean[metric]),
            _cell(row.mean[metric]),
            _cell(row.relative.get(metric)),
            *([_cell(row.error if metric == ERROR_OF else None)] if with_error else []),
            str(len(row.system.runs)),
        )
        for row in table.rows
        for metric in group.headline_metrics
    )
    error = ('mCE',) if with_error else ()
    heads = ('checkpoint', 'metric', 'clean', 'mPC', 'rPC, % of clean', *error, 'seeds')
    return TextTable(heads, rows)


def corruption_table(table: DegradationTable) -> TextTable:
    """What each corruption leaves of the primary metric."""
    rows = tuple(
        (
            name.replace('_', ' '),
            *(say.number(row.kept(table.group.primary, name), 1) for row in table.rows),
        )
        for name in table.corruptions
    )
    return TextTable(('corruption', *(row.system.label for row in table.rows)), rows)


def legend(table: DegradationTable) -> str:
    """What was scored, and what the figures are."""
    names, levels = table.corruptions, table.severities
    text = (
        f'{len(names)} corruption{"s" * (len(names) > 1)} at severity '
        f'{", ".join(map(str, levels))} (docs/robustness.md). mPC: mean over corruptions of the '
        'mean over severities; rPC: mPC in percent of the clean score.'
    )
    unit = table.group.unit
    found = [row.mean[table.group.primary].interval for row in table.rows]
    over = dict.fromkeys(say.covers(each, unit) for each in found if each is not None)
    if over:
        text += f' In brackets the 95 % interval over {" or over ".join(over)}.'
    if any(row.error for row in table.rows):
        text += " mCE: error in percent of AlexNet's (arXiv 1903.12261), mean over corruptions."
    if table.first.files:
        return f'{text} Pictures as published, read from {table.first.files}.'
    if 'frost' in names and table.first.frost == DRAWN:
        text += ' Frost is drawn, not photographed: not comparable with published scores.'
    return text


def kept_title(table: DegradationTable) -> str:
    metric = table.group.metric_name(table.group.primary)
    return f'{metric} under each corruption, mean over severities, % of clean'


def _cell(score: Score | None) -> str:
    if score is None:
        return say.NOTHING
    spread = '' if score.spread is None else f'seeds ± {say.number(score.spread)}'
    parts = (say.number(score.value), say.bounds(score.interval), spread)
    return ' '.join(part for part in parts if part)
