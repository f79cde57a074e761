"""Everything a report says, gathered once; the formats only lay it out."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from downstream.report.comparison import ScoreRow, ScoreTable, compare, place
from downstream.report.degradation import DegradationTable, degradation_tables
from downstream.report.draw.figures import chart
from downstream.report.draw.pictures import Picture, named_pictures, sample_pictures
from downstream.report.draw.severity import severity_chart
from downstream.report.formats.wording import TIERS
from downstream.report.read.groups import group_results
from downstream.report.read.provenance import (
    TextTable,
    cost_table,
    dates,
    machine_table,
    machines,
    run_table,
    version_table,
)
from downstream.report.read.reported import Beside, PublishedRow, beside_ours, published_rows
from downstream.report.shifts import ShiftTable, shift_table
from downstream.results.interval import SPLITS
from downstream.results.result import read_results
from mim_backbones.console.charts import for_dark_page


@dataclass(frozen=True)
class Degradation:
    """Scores of a group under one set of corruptions, and their chart as in `Section`."""

    table: DegradationTable
    chart_svg: bytes
    chart_dark: bytes
    chart_png: bytes


@dataclass(frozen=True)
class Section:
    """One group: its table, its chart in both formats and its sample pictures."""

    table: ScoreTable
    chart_svg: bytes
    chart_dark: bytes  # the SVG for a dark page
    chart_png: bytes
    pictures: tuple[Picture, ...]
    degradations: tuple[Degradation, ...] = ()
    shifts: ShiftTable | None = None


@dataclass(frozen=True)
class Report:
    title: str
    sections: tuple[Section, ...]
    pictures: tuple[Picture, ...]  # of the whole report, such as reconstructions
    costs: TextTable
    runs: TextTable
    machines: TextTable
    versions: TextTable
    dates: str  # of the evaluations
    hardware: tuple[str, ...]
    published: tuple[PublishedRow, ...] | None = None  # None: not asked for
    beside: Beside | None = None  # None: not asked for
    order: tuple[str, ...] = ()  # rows that come first
    tiers: dict[str, str] = field(default_factory=dict)  # those that occur -> what they mean

    @property
    def tables(self) -> tuple[ScoreTable, ...]:
        return tuple(section.table for section in self.sections)

    @property
    def tasks(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(table.group.task for table in self.tables))

    @property
    def baselines(self) -> tuple[str, ...]:
        return tuple(sorted({label for table in self.tables for label in table.baselines}))

    @property
    def labels(self) -> tuple[str, ...]:
        """All systems, in the order of every table."""
        labels = {row.system.label for table in self.tables for row in table.rows}
        return tuple(sorted(labels, key=lambda label: place(label, self.order, self.baselines)))

    @property
    def columns(self) -> tuple[tuple[ScoreTable, str], ...]:
        """The (table, metric) pairs that sum the report up."""
        return tuple((t, metric) for t in self.tables for metric in t.group.headline_metrics)

    def row(self, table: ScoreTable, label: str) -> ScoreRow | None:
        return next((row for row in table.rows if row.system.label == label), None)

    @property
    def split_tasks(self) -> tuple[str, ...]:
        """Tasks whose results fall into several groups."""
        tasks = [table.group.task for table in self.tables]
        return tuple(sorted({task for task in tasks if tasks.count(task) > 1}))


def gather(
    results_dir: Path,
    title: str,
    baseline: str | None = None,
    pictures: Sequence[str] = (),
    published: Path | None = None,
    splits: int = SPLITS,
    beside: Path | None = None,
    note: str = '',
    order: Sequence[str] = (),
    by_name: bool = False,
) -> Report:
    """Reads a folder of results and computes all a report shows.

    Args:
        pictures: 'TITLE=PATH' each.
        published: CSV of numbers reported elsewhere, of the same task and framework.
        beside: CSV of what a work reports for these checkpoints on another task.
        note: a sentence that goes with those.
        order: labels of the rows that come first; the others by name, baselines last.
        by_name: see `group_results`.

    Raises:
        UserError: anything missing, broken or contradictory in what is read; names the file.
    """
    groups = group_results(read_results(results_dir), by_name)
    tables = compare(groups, baseline, splits, order)
    shared = tuple(named_pictures(pictures))
    rows = None if published is None else tuple(published_rows(published, tables))
    samples = [tuple(sample_pictures([row.system for row in table.rows])) for table in tables]
    sections = tuple(map(_section, tables, samples))
    return Report(
        title=title,
        sections=sections,
        pictures=shared,
        costs=cost_table(tables),
        runs=run_table(groups),
        machines=machine_table(groups),
        versions=version_table(groups),
        dates=dates(groups),
        hardware=machines(groups),
        published=rows,
        beside=None if beside is None else beside_ours(beside, tables, note),
        order=tuple(order),
        tiers={tier: TIERS[tier] for tier in TIERS if tier in {g.protocol.tier for g in groups}},
    )


def _section(table: ScoreTable, pictures: tuple[Picture, ...]) -> Section:
    svg = chart(table)
    degradations = tuple(_degradation(one) for one in degradation_tables(table))
    return Section(
        table,
        svg,
        for_dark_page(svg),
        chart(table, 'png'),
        pictures,
        degradations,
        shift_table(table),
    )


def _degradation(table: DegradationTable) -> Degradation:
    svg = severity_chart(table)
    return Degradation(table, svg, for_dark_page(svg), severity_chart(table, 'png'))
