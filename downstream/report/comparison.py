"""Scores with intervals, and paired differences to a baseline, for every group."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from downstream.report.read.groups import Group, System
from downstream.results.interval import (
    FEWEST_UNITS,
    SPLITS,
    Difference,
    HalfScores,
    Interval,
    difference,
    half_scores,
    interval,
)
from downstream.results.result import StoredResult, load_units
from downstream.results.units import UnitScores
from mim_backbones.errors import UserError

DEFAULT_BASELINE = 'random init'
AGREEMENT = 0.1  # points by which a rounded metric may differ from the one its units give


@dataclass(frozen=True)
class Score:
    """One metric of one system; interval is None where the results came without units."""

    value: float  # percent, mean over trainings
    interval: Interval | None
    spread: float | None  # standard deviation over the trainings, None with one


@dataclass(frozen=True)
class ScoreRow:
    system: System
    scores: dict[str, Score]
    differences: dict[str, Difference]  # to the baseline; empty for the baseline and without one
    baseline: str | None  # label of the system the differences are to


@dataclass(frozen=True)
class ScoreTable:
    group: Group
    rows: tuple[ScoreRow, ...]
    units: int | None  # how many images or sequences the intervals draw from
    splits: int  # how often these were halved

    @property
    def trainings(self) -> set[int]:
        """How many a system has: every number that occurs."""
        return {len(row.system.runs) for row in self.rows}

    @property
    def too_few_units(self) -> bool:
        return self.units is not None and self.units < FEWEST_UNITS

    @property
    def lone_trainings(self) -> bool:
        """Whether a difference lacks the noise of training."""
        return any(
            not found.covers_training for row in self.rows for found in row.differences.values()
        )

    @property
    def baselines(self) -> tuple[str, ...]:
        return tuple(sorted({row.baseline for row in self.rows if row.baseline}))


def compare(
    groups: Sequence[Group],
    baseline: str | None = None,
    splits: int = SPLITS,
    order: Sequence[str] = (),
) -> list[ScoreTable]:
    """One table per group.

    Args:
        baseline: name or label of the system to take differences to. By default 'random init' of
            the same backbone, where there is one.
        order: labels of the first rows, see `place`.

    Raises:
        UserError: no system has a name that was given; a units file is broken, of other units than
            the rest of its group, or does not give the metrics its result states.
    """
    known = sorted({name for g in groups for s in g.systems for name in (s.name, s.label)})
    if baseline is not None and baseline not in known:
        raise UserError(f'no result is named {baseline!r}; --baseline can be: {", ".join(known)}')
    labels = sorted({system.label for group in groups for system in group.systems})
    for label in order:
        if label not in labels:
            raise UserError(f'no result is named {label!r}; --order can have: {", ".join(labels)}')
    return [_table(group, baseline, splits, order) for group in groups]


def place(label: str, order: Sequence[str], baselines: Collection[str | None]) -> tuple[int, str]:
    """Sorts rows: those in `order` come first, the others by name, baselines last."""
    if label in order:
        return order.index(label), label
    return len(order) + (label in baselines), label


def _table(group: Group, baseline: str | None, splits: int, order: Sequence[str]) -> ScoreTable:
    units = {system.label: _load(system, group) for system in group.systems}
    _check_paired(group, units)
    count = next((len(runs[0]) for runs in units.values() if runs), None)
    halves = {
        label: [half_scores(run, splits) for run in runs] for label, runs in units.items()
    }  # per run, each metric
    rows = []
    for system in group.systems:
        reference = _reference(group, system, baseline)
        differences = {}
        for metric in group.metrics if reference else ():
            own, other = (_of(halves[one.label], metric) for one in (system, reference))
            if own and other:
                differences[metric] = difference(own, other)
        rows.append(
            ScoreRow(
                system,
                {
                    metric: _score(system, metric, _of(halves[system.label], metric))
                    for metric in group.metrics
                },
                differences,
                reference.label if reference and differences else None,
            )
        )
    baselines = {row.baseline for row in rows}
    rows.sort(key=lambda row: place(row.system.label, order, baselines))
    return ScoreTable(group, tuple(rows), count, splits)


def _of(runs: list[dict[str, HalfScores]], metric: str) -> list[HalfScores]:
    """One metric of every run; none where the units do not give it."""
    return [run[metric] for run in runs if metric in run]


def _reference(group: Group, system: System, baseline: str | None) -> System | None:
    """What `system` is compared to: the baseline of its own backbone before any other."""
    wanted = baseline or DEFAULT_BASELINE
    named = [other for other in group.systems if wanted in (other.name, other.label)]
    if system in named:
        return None
    same = [other for other in named if other.backbone == system.backbone]
    if len(same) == 1:
        return same[0]
    return named[0] if baseline and len(named) == 1 else None


def _load(system: System, group: Group) -> list[UnitScores]:
    """Unit scores of every run; none at all if a run came without, or nobody can read them."""
    readable = group.known is not None and group.known.units is not None
    if not readable or any(run.result.units is None for run in system.runs):
        return []
    return [_load_run(run) for run in system.runs]


def _load_run(run: StoredResult) -> UnitScores:
    assert run.result.units is not None
    path = run.beside(run.result.units)
    units = load_units(path)
    observed = units.observed()
    for metric in observed.keys() & run.result.metrics.keys():
        stated = run.result.metrics[metric]
        if not abs(observed[metric] - stated) <= AGREEMENT:
            raise UserError(
                f'{path}: gives {metric} {observed[metric]:.2f}, but {run.path.name} states '
                f'{stated:.2f}; they are not of one evaluation, evaluate again'
            )
    return units


def _check_paired(group: Group, units: dict[str, list[UnitScores]]) -> None:
    runs = [
        (run, run_units)
        for system in group.systems
        for run, run_units in zip(system.runs, units[system.label])
    ]
    for run, run_units in runs:
        first, first_units = runs[0]
        if (run_units.names, run_units.metrics) != (first_units.names, first_units.metrics):
            raise UserError(
                f'{run.path}: scored on other images or sequences than {first.path.name}, though '
                'protocol and data are the same; evaluate both again'
            )


def _score(system: System, metric: str, halves: list[HalfScores]) -> Score:
    stated = [run.result.metrics[metric] for run in system.runs]
    spread = float(np.std(stated, ddof=1)) if len(stated) > 1 else None
    if not halves:
        return Score(float(np.mean(stated)), None, spread)
    found = interval(halves)
    return Score(found.value, found, spread)
