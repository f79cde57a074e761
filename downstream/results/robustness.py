"""Scores under corruption, beside the clean ones of a result.

    mPC   mean over corruptions of the mean over severities of a metric
    rPC   mPC in percent of the metric on clean pictures
    paper: Michaelis et al., arXiv 1907.07484, section 3.3

Both get intervals as any metric does (interval.py): every corruption is scored on the same halves
of the test set, so that a half has an mPC and an rPC of its own. The halves of the headline metrics
are kept in one file, names of its rows 'clean' and 'fog 3', columns (all, first, second halves).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from downstream.results.interval import HalfScores
from downstream.results.units import Array, read_arrays
from downstream.robustness.conditions import NAMES, Conditions
from mim_backbones.console.atomic_file import write_atomically
from mim_backbones.errors import UserError

KIND, CLEAN = 'robustness', 'clean'


@dataclass(frozen=True)
class Robustness:
    """What a result says of corrupted pictures.

    scores: corruption -> severity as text -> metric -> percent.
    frost: 'drawn', or a digest of the photographs of frost.
    version: of the corruptions.
    halves: name of the file beside the result, None without unit scores.
    """

    scores: dict[str, dict[str, dict[str, float]]]
    frost: str
    version: int
    halves: str | None = None

    def __post_init__(self) -> None:
        """Raises ValueError naming what is wrong."""
        if not isinstance(self.scores, dict) or not self.scores or set(self.scores) - set(NAMES):
            raise ValueError(f'robustness.scores must name corruptions: {", ".join(NAMES)}')
        rows = [sorted(levels) for levels in self.scores.values() if isinstance(levels, dict)]
        if len(rows) < len(self.scores) or any(row != rows[0] for row in rows) or not rows[0]:
            raise ValueError('robustness.scores must have the same severities for all corruptions')
        if set(rows[0]) - set('12345'):
            raise ValueError(f'robustness.scores has severities {rows[0]}, known: 1 to 5')
        if not isinstance(self.frost, str) or not isinstance(self.version, int):
            raise ValueError('robustness must hold frost, a text, and version, a whole number')
        if self.halves is not None and not isinstance(self.halves, str):
            raise ValueError('robustness.halves must be a file name')

    @property
    def severities(self) -> tuple[int, ...]:
        return tuple(sorted(int(level) for level in next(iter(self.scores.values()))))

    @property
    def conditions(self) -> tuple:
        """Equal for scores that may be compared."""
        frost = self.frost if 'frost' in self.scores else ''
        return (tuple(sorted(self.scores)), self.severities, frost, self.version)

    def covers(self, asked: Conditions, version: int) -> bool:
        """Whether all that is asked for is there."""
        return (
            set(asked.corruptions) <= set(self.scores)
            and set(asked.severities) <= set(self.severities)
            and (self.frost == asked.frost or 'frost' not in asked.corruptions)
            and self.version == version
        )

    def values(self, metric: str, corruption: str) -> list[float]:
        """By rising severity."""
        return [self.scores[corruption][str(level)][metric] for level in self.severities]

    def mean(self, metric: str) -> float:
        """mPC, in percent."""
        return float(np.mean([np.mean(self.values(metric, name)) for name in self.scores]))

    def relative(self, metric: str, clean: float) -> float | None:
        """rPC, in percent; None where nothing is scored on clean pictures either."""
        return 100 * self.mean(metric) / clean if clean > 0 else None

    def summary(self, clean: Mapping[str, float]) -> dict[str, dict[str, float | None]]:
        """mPC and rPC of each metric."""
        return {
            'mPC': {key: self.mean(key) for key in clean},
            'rPC': {key: self.relative(key, value) for key, value in clean.items()},
        }


class Scored(NamedTuple):
    """What a job found under corruption. rows: of `save_halves`; none without unit scores."""

    robustness: Robustness
    rows: Mapping[str, Mapping[str, HalfScores]]


class Summary(NamedTuple):
    """Of one metric and training, in percent."""

    clean: HalfScores
    mean: HalfScores  # mPC
    relative: HalfScores  # rPC


def row_name(corruption: str, severity: int) -> str:
    return f'{corruption} {severity}'


def save_halves(path: Path, rows: Mapping[str, Mapping[str, HalfScores]]) -> Path:
    """Row name -> metric -> scores; 'clean' is one of the rows.

    Raises:
        UserError: the file cannot be written.
    """
    metrics = list(next(iter(rows.values())))
    content = {
        metric: np.stack(
            [
                np.concatenate([[row[metric].whole], row[metric].first, row[metric].second])
                for row in rows.values()
            ]
        ).astype(np.float32)
        for metric in metrics
    }
    units = next(iter(next(iter(rows.values())).values())).units
    head = {'kind': np.array(KIND), 'names': np.array(list(rows)), 'units': np.array(units)}
    return write_atomically(
        path,
        lambda stream: np.savez_compressed(stream, **head, **content),  # type: ignore[arg-type]
    )


def load_halves(path: Path, robustness: Robustness) -> dict[str, Summary]:
    """Metric -> what sums it up.

    Raises:
        UserError: missing, broken, or not of these conditions.
    """
    kind, names, arrays = read_arrays(path)
    wanted = [
        row_name(name, level) for name in robustness.scores for level in robustness.severities
    ]
    units = arrays.pop('units', None)
    if (
        kind != KIND
        or sorted(names) != sorted([CLEAN, *wanted])
        or units is None
        or units.size != 1
    ):
        raise UserError(f'{path}: not the scores under corruption of its result; evaluate again')
    return {metric: _summed_up(path, names, int(units), rows) for metric, rows in arrays.items()}


def _summed_up(path: Path, names: tuple[str, ...], units: int, rows: Array) -> Summary:
    splits, odd = divmod(rows.shape[-1] - 1, 2) if rows.ndim == 2 else (0, 1)
    if odd or not splits or len(rows) != len(names) or rows.dtype.kind != 'f':
        raise UserError(f'{path}: not the scores under corruption of its result; evaluate again')
    clean = rows[names.index(CLEAN)].astype(np.float64)
    # all corruptions have the same severities, so this is the mean of means
    mean = np.stack([row for name, row in zip(names, rows) if name != CLEAN]).mean(0, np.float64)
    with np.errstate(divide='ignore', invalid='ignore'):
        relative = 100 * mean / clean
    relative[~np.isfinite(relative)] = np.nan  # a half scores nothing on clean pictures either
    return Summary(
        *(
            HalfScores(float(each[0]), each[1 : splits + 1], each[splits + 1 :], units)
            for each in (clean, mean, relative)
        )
    )
