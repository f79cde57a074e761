"""Scores under corruption, beside the clean ones of a result.

    mPC   mean over corruptions of the mean over severities of a metric
    rPC   mPC in percent of the metric on clean pictures
    mCE   mean over corruptions of  sum_s E / sum_s E_AlexNet, E = 100 - top-1 at severity s
    papers: Michaelis et al., arXiv 1907.07484, section 3.3; of mCE Hendrycks & Dietterich,
            arXiv 1903.12261, section 4, with AlexNet's errors of its Table 1 as released

mCE is of ImageNet's 1000 classes and all 15 corruptions at all five severities, as AlexNet's errors
are. Further test sets ("shifts": ImageNet-A, -R, -Sketch, V2) stand beside, with their own metrics.

Both get intervals as any metric does (interval.py): every corruption is scored on the same halves
of the test set, so that a half has an mPC and an rPC of its own. The halves of the headline metrics
are kept in one file, names of its rows 'clean' and 'fog 3', columns (all, first, second halves).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from downstream.results.interval import HalfScores
from downstream.results.units import Array, read_arrays
from downstream.robustness.conditions import NAMES, SEVERITIES, Conditions
from mim_backbones.console.atomic_file import write_atomically
from mim_backbones.errors import UserError

KIND, CLEAN = 'robustness', 'clean'
IMAGENET = 1000  # classes
# Errors as shares, means over severities.
ALEXNET = {
    'gaussian_noise': 0.886428, 'shot_noise': 0.894468, 'impulse_noise': 0.922640,
    'defocus_blur': 0.819880, 'glass_blur': 0.826268, 'motion_blur': 0.785948,
    'zoom_blur': 0.798360, 'snow': 0.866816, 'frost': 0.826572, 'fog': 0.819324,
    'brightness': 0.564592, 'contrast': 0.853204, 'elastic_transform': 0.646056,
    'pixelate': 0.717840, 'jpeg_compression': 0.606500,
}  # fmt: skip


@dataclass(frozen=True)
class Robustness:
    """What a result says of corrupted pictures.

    scores: corruption -> severity as text -> metric -> percent.
    frost: 'drawn', or a digest of the photographs of frost.
    version: of the corruptions.
    halves: name of the file beside the result, None without unit scores.
    files: name of the folder the corrupted pictures were read from; '' where they were made.
    shifts: name of a further test set -> metric -> percent.
    """

    scores: dict[str, dict[str, dict[str, float]]]
    frost: str
    version: int
    halves: str | None = None
    files: str = ''
    shifts: dict[str, dict[str, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises ValueError naming what is wrong."""
        if not isinstance(self.shifts, dict) or not all(
            isinstance(metrics, dict) and metrics for metrics in self.shifts.values()
        ):
            raise ValueError('robustness.shifts must hold metrics for each test set')
        empty = self.scores == {} and not self.shifts
        if not isinstance(self.scores, dict) or empty or set(self.scores) - set(NAMES):
            raise ValueError(f'robustness.scores must name corruptions: {", ".join(NAMES)}')
        if not isinstance(self.files, str):
            raise ValueError('robustness.files must be a text')
        if not self.scores:
            return
        rows = [sorted(levels) for levels in self.scores.values() if isinstance(levels, dict)]
        if len(rows) < len(self.scores) or any(row != rows[0] for row in rows) or not rows[0]:
            raise ValueError('robustness.scores must have the same severities for all corruptions')
        if set(rows[0]) - set('12345'):
            raise ValueError(f'robustness.scores has severities {rows[0]}, known: 1 to 5')
        if not all(isinstance(each, dict) for row in self.scores.values() for each in row.values()):
            raise ValueError('robustness.scores must hold metrics for each severity')
        if not isinstance(self.frost, str) or not isinstance(self.version, int):
            raise ValueError('robustness must hold frost, a text, and version, a whole number')
        if self.halves is not None and not isinstance(self.halves, str):
            raise ValueError('robustness.halves must be a file name')

    @property
    def severities(self) -> tuple[int, ...]:
        return tuple(sorted(int(level) for level in next(iter(self.scores.values()), ())))

    @property
    def conditions(self) -> tuple:
        """Equal for scores that may be compared."""
        frost = self.frost if 'frost' in self.scores else ''
        return (tuple(sorted(self.scores)), self.severities, frost, self.version, self.files)

    def covers(self, asked: Conditions, version: int) -> bool:
        """Whether all that is asked for is there."""
        return (
            set(asked.corruptions) <= set(self.scores)
            and set(asked.severities) <= set(self.severities)
            and (self.frost == asked.frost or 'frost' not in asked.corruptions)
            and self.version == version
            and (bool(self.files) == bool(asked.files) or not asked.corruptions)
            and {name for name, _ in asked.shifts} <= set(self.shifts)
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

    def corruption_error(self, classes: int) -> float | None:
        """mCE in percent; None where AlexNet's errors are of other conditions."""
        whole = set(self.scores) == set(NAMES) and self.severities == SEVERITIES
        if not whole or classes != IMAGENET or 'top1' not in self.scores['fog']['1']:
            return None
        errors = {name: 100 - float(np.mean(self.values('top1', name))) for name in NAMES}
        return float(np.mean([errors[name] / ALEXNET[name] for name in NAMES]))

    def summary(self, clean: Mapping[str, float], classes: int) -> dict[str, dict]:
        """mPC and rPC of each metric, mCE where it is defined, and the further test sets."""
        found: dict[str, dict] = {}
        if self.scores:
            found['mPC'] = {key: self.mean(key) for key in clean}
            found['rPC'] = {key: self.relative(key, value) for key, value in clean.items()}
        if (error := self.corruption_error(classes)) is not None:
            found['mCE'] = {'top1': error}
        return {**found, 'shifts': self.shifts} if self.shifts else found


class Scored(NamedTuple):
    """What a job found beside its test set. rows: of `save_halves`; none without unit scores."""

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
