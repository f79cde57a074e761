"""The report's numbers for machines: one line per checkpoint, task and metric."""

import csv
import io

from downstream.report.content import Content

COLUMNS = (
    'checkpoint', 'method', 'architecture', 'task', 'protocol', 'protocol_version', 'tier', 'data',
    'fingerprint', 'metric', 'value', 'low', 'high', 'seeds', 'seed_spread', 'units', 'baseline',
    'difference', 'difference_low', 'difference_high', 'p_value', 'clear_of_zero',
)  # fmt: skip


def numbers(content: Content) -> list[dict[str, str | int | float | bool | None]]:
    """The lines of the CSV: percent and points in full precision, None where not known."""
    lines: list[dict[str, str | int | float | bool | None]] = []
    for table in content.tables:
        group = table.group
        for row in table.rows:
            for metric in group.metrics:
                score, found = row.scores[metric], row.differences.get(metric)
                interval = score.interval
                lines.append(
                    {
                        'checkpoint': row.system.label,
                        'method': row.system.method,
                        'architecture': row.system.architecture,
                        'task': group.task,
                        'protocol': group.protocol.name,
                        'protocol_version': group.protocol.version,
                        'tier': group.protocol.tier,
                        'data': group.data_name,
                        'fingerprint': group.fingerprint,
                        'metric': metric,
                        'value': score.value,
                        'low': interval.low if interval else None,
                        'high': interval.high if interval else None,
                        'seeds': len(row.system.runs),
                        'seed_spread': score.spread,
                        'units': table.units,
                        'baseline': row.baseline,
                        'difference': found.mean if found else None,
                        'difference_low': found.low if found else None,
                        'difference_high': found.high if found else None,
                        'p_value': found.p_value if found else None,
                        'clear_of_zero': found.clear_of_zero if found else None,
                    }
                )
    return lines


def render_csv(content: Content) -> str:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS, lineterminator='\n')
    writer.writeheader()
    for line in numbers(content):
        rounded = {k: round(v, 6) if isinstance(v, float) else v for k, v in line.items()}
        writer.writerow(rounded)
    return stream.getvalue()
