"""The report's numbers for machines: one line per checkpoint, task and metric."""

import csv
import io
import math
from collections.abc import Sequence

from downstream.report.comparison import Score
from downstream.report.content import Report
from downstream.report.formats.wording import covers

Line = dict[str, str | int | float | bool | None]
COLUMNS = (
    'checkpoint', 'method', 'architecture', 'task', 'protocol', 'protocol_version', 'tier',
    'protocol_sha256', 'changed', 'data', 'fingerprint', 'metric', 'metric_name', 'value', 'low',
    'high', 'interval_over', 'seeds', 'seed_spread', 'units', 'baseline', 'difference',
    'difference_low', 'difference_high', 'difference_over', 'p_value', 'clear_of_zero',
)  # fmt: skip


def numbers(report: Report) -> list[Line]:
    """The lines of the CSV: percent and points in full precision, None where not known.

    p_value and clear_of_zero are None where the interval does not cover the noise of training.
    """
    lines: list[Line] = []
    for table in report.tables:
        group = table.group
        for row in table.rows:
            for metric in group.metrics:
                score, found = row.scores[metric], row.differences.get(metric)
                own = score.interval
                decided = found if found and found.decides else None
                lines.append(
                    {
                        'checkpoint': row.system.label,
                        'method': row.system.method,
                        'architecture': row.system.architecture,
                        'task': group.task,
                        'protocol': group.protocol.name,
                        'protocol_version': group.protocol.version,
                        'tier': group.protocol.tier,
                        'protocol_sha256': group.first.protocol_sha256,
                        'changed': '; '.join(f'{k}={v}' for k, v in group.first.changes.items()),
                        'data': group.data_text,
                        'fingerprint': group.fingerprint,
                        'metric': metric,
                        'metric_name': group.metric_name(metric),
                        'value': score.value,
                        'low': _known(own.low) if own else None,
                        'high': _known(own.high) if own else None,
                        'interval_over': covers(own, group.unit) if own else None,
                        'seeds': len(row.system.runs),
                        'seed_spread': score.spread,
                        'units': table.units,
                        'baseline': row.baseline,
                        'difference': found.value if found else None,
                        'difference_low': _known(found.low) if found else None,
                        'difference_high': _known(found.high) if found else None,
                        'difference_over': covers(found, group.unit) if found else None,
                        'p_value': decided.p_value if decided else None,
                        'clear_of_zero': decided.clear_of_zero if decided else None,
                    }
                )
    return lines


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def render_csv(report: Report) -> str:
    return _written(COLUMNS, numbers(report))


def render_robustness_csv(report: Report) -> dict[str, str]:
    """robustness.csv by its name, if anything was scored under corruption."""
    lines = robustness_numbers(report)
    return {'robustness.csv': _written(list(lines[0]), lines)} if lines else {}


def robustness_numbers(report: Report) -> list[Line]:
    """One line per checkpoint, metric, corruption and severity, in percent.

    Corruption 'clean' is the clean score, 'mean' mPC and, relative to the clean score, rPC.
    """
    lines: list[Line] = []
    for found in (one for section in report.sections for one in section.degradations):
        table, group = found.table, found.table.group
        for row in table.rows:
            for metric in group.metrics:
                clean, mean, share = row.clean[metric], row.mean[metric], row.relative.get(metric)
                values = [('clean', 0, clean)]
                values += [
                    (name, level, value)
                    for name in table.corruptions
                    for level, value in zip(table.severities, row.levels[metric, name])
                ]
                head: Line = {
                    'checkpoint': row.system.label,
                    'task': group.task,
                    'protocol': group.protocol.name,
                    'protocol_version': group.protocol.version,
                    'tier': group.protocol.tier,
                    'protocol_sha256': group.first.protocol_sha256,
                    'data': group.data_text,
                    'fingerprint': group.fingerprint,
                    'frost': table.first.frost,
                    'seeds': len(row.system.runs),
                    'metric': metric,
                }
                lines += [
                    {
                        **head,
                        'corruption': name,
                        'severity': level,
                        'value': value,
                        'low': None,
                        'high': None,
                        'relative': 100 * value / clean if clean > 0 else None,
                        'relative_low': None,
                        'relative_high': None,
                    }
                    for name, level, value in values
                ]
                lines.append(
                    {
                        **head,
                        'corruption': 'mean',
                        'severity': None,
                        'value': mean.value,
                        'low': _bound(mean, 'low'),
                        'high': _bound(mean, 'high'),
                        'relative': share.value if share else None,
                        'relative_low': _bound(share, 'low'),
                        'relative_high': _bound(share, 'high'),
                    }
                )
    return lines


def _bound(score: Score | None, end: str) -> float | None:
    """'low' or 'high' of a score's interval."""
    if score is None or score.interval is None:
        return None
    return _known(getattr(score.interval, end))


def _written(columns: Sequence[str], lines: Sequence[Line]) -> str:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, columns, lineterminator='\n')
    writer.writeheader()
    for line in lines:
        writer.writerow({k: round(v, 6) if isinstance(v, float) else v for k, v in line.items()})
    return stream.getvalue()
