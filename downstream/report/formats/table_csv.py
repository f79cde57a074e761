"""The report's numbers for machines: one line per checkpoint, task and metric."""

import csv
import io
import math

from downstream.report.content import Report
from downstream.report.formats.wording import covers

COLUMNS = (
    'checkpoint', 'method', 'architecture', 'task', 'protocol', 'protocol_version', 'tier',
    'protocol_sha256', 'changed', 'data', 'fingerprint', 'metric', 'metric_name', 'value', 'low',
    'high', 'interval_over', 'seeds', 'seed_spread', 'units', 'baseline', 'difference',
    'difference_low', 'difference_high', 'difference_over', 'p_value', 'clear_of_zero',
)  # fmt: skip


def numbers(report: Report) -> list[dict[str, str | int | float | bool | None]]:
    """The lines of the CSV: percent and points in full precision, None where not known.

    p_value and clear_of_zero are None where the interval does not cover the noise of training.
    """
    lines: list[dict[str, str | int | float | bool | None]] = []
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
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS, lineterminator='\n')
    writer.writeheader()
    for line in numbers(report):
        rounded = {k: round(v, 6) if isinstance(v, float) else v for k, v in line.items()}
        writer.writerow(rounded)
    return stream.getvalue()
