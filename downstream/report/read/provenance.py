"""Where numbers come from and what they cost, as plain tables of text."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from downstream.report.comparison import ScoreTable
from downstream.report.formats.wording import COSTS, NOTHING, cost, cost_name
from downstream.report.read.groups import Group, System

# What makes two evaluations alike in how they ran; told in this order, others after them.
MACHINE = ('cpu', 'gpus', 'threads', 'processes', 'command')


@dataclass(frozen=True)
class TextTable:
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def cost_table(tables: Sequence[ScoreTable]) -> TextTable:
    """Mean over seeds of every cost any result states."""
    stated = {key for table in tables for run in table.group.runs() for key in run.result.cost}
    keys = [key for key in COSTS if key in stated] + sorted(stated - set(COSTS))
    rows = []
    for table in tables:
        group = table.group
        for system in (row.system for row in table.rows):
            costs = (_mean_cost(system, key) for key in keys)
            runs = str(len(system.runs))
            rows.append((group.task, group.protocol_text, system.label, runs, *costs))
    header = ('task', 'protocol', 'checkpoint', 'seeds', *(cost_name(key) for key in keys))
    return TextTable(header, tuple(rows))


def _mean_cost(system: System, key: str) -> str:
    stated = [run.result.cost[key] for run in system.runs if key in run.result.cost]
    return cost(sum(stated) / len(stated) if stated else None)


def run_table(groups: Sequence[Group]) -> TextTable:
    """One row per result file."""
    header = ('result', 'architecture', 'method', 'seed', 'checkpoint', 'config', 'protocol',
              'changed', 'data')  # fmt: skip
    return TextTable(header, tuple(_run_rows(groups)))


def _run_rows(groups: Sequence[Group]) -> Iterator[tuple[str, ...]]:
    for group in groups:
        for run in group.runs():
            result = run.result
            digest = result.checkpoint.sha256[:12] if result.checkpoint else NOTHING
            changes = ', '.join(f'{key}={value}' for key, value in result.changes.items())
            yield (
                run.path.name,
                result.architecture,
                result.method,
                str(result.seed),
                digest,
                result.config_sha256[:12],
                result.protocol_sha256[:12],
                changes or NOTHING,
                f'{group.data_text} {group.fingerprint[:12]}',
            )


def dates(groups: Sequence[Group]) -> str:
    """The day of the evaluations, or the first and the last; empty where none is known."""
    found = sorted({str(run['date'])[:10] for run in _runs(groups) if run.get('date')})
    return ' to '.join(dict.fromkeys((found[0], found[-1]))) if found else ''


def machines(groups: Sequence[Group]) -> tuple[str, ...]:
    """The processors the evaluations ran on."""
    found = (' + '.join(_words(run.get(key)) for key in ('cpu', 'gpus')) for run in _runs(groups))
    return tuple(dict.fromkeys(text for each in found if (text := each.strip(' +'))))


def machine_table(groups: Sequence[Group]) -> TextTable:
    """Commands and hardware: one row per way of running, with how many results ran so."""
    stated = {key for run in _runs(groups) for key in run} - {'date', 'steps', 'tables'}
    keys = [key for key in MACHINE if key in stated] + sorted(stated - set(MACHINE))
    alike: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for run in _runs(groups):
        if run:
            alike[tuple(_words(run.get(key)) or NOTHING for key in keys)].append(
                str(run.get('date', ''))[:16].replace('T', ' ')
            )
    rows = tuple(
        (str(len(begun)), ' to '.join(dict.fromkeys((min(begun), max(begun)))) or NOTHING, *words)
        for words, begun in alike.items()
    )
    return TextTable(('results', 'date', *keys), rows if keys else ())


def version_table(groups: Sequence[Group]) -> TextTable:
    """Each component's version; several where the results were made with several."""
    found: dict[str, set[str]] = {}
    for group in groups:
        for run in group.runs():
            for component, version in run.result.versions.items():
                found.setdefault(component, set()).add(str(version))
    rows = tuple((name, ', '.join(sorted(found[name]))) for name in sorted(found))
    return TextTable(('component', 'version'), rows)


def _runs(groups: Sequence[Group]) -> Iterable[dict[str, Any]]:
    return [run.result.run for group in groups for run in group.runs()]


def _words(value: Any) -> str:
    """What a result says of its run, for people: lists with commas, nothing for None."""
    if isinstance(value, list | tuple):
        return ', '.join(str(each) for each in value)
    return '' if value is None else str(value)
