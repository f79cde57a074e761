"""What corruption of the test pictures costs each system, with intervals."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from downstream.report.comparison import AGREEMENT, Score, ScoreTable
from downstream.report.read.groups import Group, System
from downstream.results.interval import HalfScores, interval
from downstream.results.result import StoredResult
from downstream.results.robustness import Robustness, Summary, load_halves
from mim_backbones.errors import UserError


@dataclass(frozen=True)
class DegradationRow:
    """One system. Values are percent, means over its trainings; relative to the clean score.

    clean, mean, relative: by metric; the last lacks metrics whose clean score is 0.
    levels: (metric, corruption) -> score at each severity.
    error: mCE, where it is defined.
    """

    system: System
    clean: dict[str, float]
    mean: dict[str, Score]
    relative: dict[str, Score]
    levels: dict[tuple[str, str], tuple[float, ...]]
    error: Score | None = None

    def kept(self, metric: str, corruption: str) -> float | None:
        """Mean over severities, in percent of the clean score."""
        if self.clean[metric] <= 0:
            return None
        return 100 * float(np.mean(self.levels[metric, corruption])) / self.clean[metric]


@dataclass(frozen=True)
class DegradationTable:
    """Systems of one group that were scored under the same corruptions."""

    group: Group
    first: Robustness
    rows: tuple[DegradationRow, ...]
    baselines: tuple[str, ...]

    @property
    def corruptions(self) -> tuple[str, ...]:
        return tuple(self.first.scores)

    @property
    def severities(self) -> tuple[int, ...]:
        return self.first.severities


def degradation_tables(table: ScoreTable) -> list[DegradationTable]:
    """One for each set of conditions that occurs, the systems in the table's order.

    Raises:
        UserError: scores of single units are broken, or not of their result.
    """
    sets: dict[tuple, dict[str, list[StoredResult]]] = defaultdict(lambda: defaultdict(list))
    for row in table.rows:
        for run in row.system.runs:
            if run.result.robustness is not None and run.result.robustness.scores:
                sets[run.result.robustness.conditions][row.system.label].append(run)
    tables = []
    for found in sets.values():
        rows = [
            _row(System(label, tuple(runs)), table.group.metrics) for label, runs in found.items()
        ]
        first = next(iter(found.values()))[0].result.robustness
        assert first is not None
        tables.append(DegradationTable(table.group, first, tuple(rows), table.baselines))
    return tables


def _row(system: System, metrics: Sequence[str]) -> DegradationRow:
    scored = [run.result.robustness for run in system.runs if run.result.robustness is not None]
    summaries = [_summaries(run) for run in system.runs]
    clean, mean, relative, levels = {}, {}, {}, {}
    for metric in metrics:
        whole = [run.result.metrics[metric] for run in system.runs]
        clean[metric] = float(np.mean(whole))
        halves = [found[metric] for found in summaries if metric in found]
        halves = halves if len(halves) == len(whole) else []
        means = [one.mean(metric) for one in scored]
        mean[metric] = _score(means, [each.mean for each in halves])
        if min(whole) > 0:
            shares = [100 * value / own for value, own in zip(means, whole)]
            relative[metric] = _score(shares, [each.relative for each in halves])
        for name in scored[0].scores:
            found = np.mean([one.values(metric, name) for one in scored], 0)
            levels[metric, name] = tuple(found.tolist())
    classes = len(system.runs[0].result.data.get('classes') or ())
    errors = [one.corruption_error(classes) for one in scored]
    known = [one for one in errors if one is not None]
    error = _score(known, []) if known and len(known) == len(errors) else None
    return DegradationRow(system, clean, mean, relative, levels, error)


def _score(values: list[float], halves: list[HalfScores]) -> Score:
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
    # corruption may help: a relative score is no share of anything
    found = interval(halves, most=np.inf) if halves else None
    return Score(float(np.mean(values)), found, spread)


def _summaries(run: StoredResult) -> dict[str, Summary]:
    robustness = run.result.robustness
    if robustness is None or robustness.halves is None:
        return {}
    path = run.beside(robustness.halves)
    found = {
        metric: summary
        for metric, summary in load_halves(path, robustness).items()
        if metric in run.result.metrics
    }
    for metric, summary in found.items():
        stated = run.result.metrics[metric], robustness.mean(metric)
        for own, given in zip((summary.clean.whole, summary.mean.whole), stated):
            if not abs(own - given) <= AGREEMENT:
                raise UserError(
                    f'{path}: gives {metric} {own:.2f}, but {run.path.name} states {given:.2f}; '
                    'they are not of one evaluation, evaluate again'
                )
    return found
