"""Where numbers come from and what they cost, as plain tables of text."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from downstream.report.comparison import Table
from downstream.report.formats.wording import COSTS, NOTHING, cost, cost_name
from downstream.report.read.groups import Group, System


@dataclass(frozen=True)
class TextTable:
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def cost_table(tables: Sequence[Table]) -> TextTable:
    """Mean over seeds of every cost any result states."""
    stated = {key for table in tables for run in table.group.runs() for key in run.result.cost}
    keys = [key for key in COSTS if key in stated] + sorted(stated - set(COSTS))
    rows = []
    for table in tables:
        group = table.group
        for system in (row.system for row in table.rows):
            costs = (_mean_cost(system, key) for key in keys)
            runs = str(len(system.runs))
            rows.append((group.task, str(group.protocol), system.label, runs, *costs))
    header = ('task', 'protocol', 'checkpoint', 'seeds', *(cost_name(key) for key in keys))
    return TextTable(header, tuple(rows))


def _mean_cost(system: System, key: str) -> str:
    stated = [run.result.cost[key] for run in system.runs if key in run.result.cost]
    return cost(sum(stated) / len(stated) if stated else None)


def run_table(groups: Sequence[Group]) -> TextTable:
    """One row per result file."""
    header = ('result', 'architecture', 'method', 'seed', 'checkpoint', 'config', 'data')
    return TextTable(header, tuple(_run_rows(groups)))


def _run_rows(groups: Sequence[Group]) -> Iterator[tuple[str, ...]]:
    for group in groups:
        for run in group.runs():
            result = run.result
            digest = result.checkpoint.sha256[:12] if result.checkpoint else NOTHING
            yield (
                run.path.name,
                result.architecture,
                result.method,
                str(result.seed),
                digest,
                result.config_sha256[:12],
                f'{group.data_name} {group.fingerprint[:12]}',
            )


def version_table(groups: Sequence[Group]) -> TextTable:
    """Each component's version; several where the results were made with several."""
    found: dict[str, set[str]] = {}
    for group in groups:
        for run in group.runs():
            for component, version in run.result.versions.items():
                found.setdefault(component, set()).add(str(version))
    rows = tuple((name, ', '.join(sorted(found[name]))) for name in sorted(found))
    return TextTable(('component', 'version'), rows)
