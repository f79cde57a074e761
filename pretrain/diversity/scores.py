"""Diversity against what backbones scored that were pre-trained on these targets.

Results belong to another package: `mimbench report` reads them, and its numbers come with the
intervals that it gives them.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mim_backbones.errors import UserError
from pretrain.diversity.measure import Measured, Spread
from pretrain.diversity.rank_correlation import FEWEST, RankCorrelation, rank_correlation

REPORT = (sys.executable, '-m', 'mim_backbones.console.cli', 'report')
PREFIX = 'mimbench: error: '
Scores = dict[str, dict[str, Any]]  # checkpoint -> a line of `mimbench report --json`


@dataclass(frozen=True)
class Point:
    """One target: its diversity, the score in percent and its 95 % interval where it has one."""

    name: str
    diversity: Spread
    score: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Against:
    """Of one task under one protocol. correlation: None where nothing can be said."""

    title: str
    metric: str
    points: tuple[Point, ...]
    correlation: RankCorrelation | None

    def verdict(self) -> str:
        """One sentence for people."""
        found, several = self.correlation, len(self.points)
        teachers = f'{several} teacher{"s" * (several > 1)}'
        if found is None and several < FEWEST:
            return f'{teachers}: too few to say anything, it takes {FEWEST}'
        if found is None:
            return f'{teachers} that do not differ: there is no order to compare'
        sure = 'no order is shown' if found.low <= 0 <= found.high else 'the order is shown'
        return (
            f'Spearman {found.value:+.2f} [{found.low:+.2f}, {found.high:+.2f}] over {teachers}: '
            f'{sure}'
        )


def read_scores(results: Path, names: Collection[str]) -> list[Scores]:
    """The primary metric of every checkpoint, for each task, protocol and data.

    Raises:
        UserError: no readable results, or none of these names.
    """
    lines = report_numbers(results)
    groups: dict[tuple[str, ...], Scores] = {}
    for line in lines:
        key = tuple(str(line[part]) for part in ('task', 'protocol_sha256', 'fingerprint'))
        # The primary metric is a checkpoint's first.
        groups.setdefault(key, {}).setdefault(line['checkpoint'], line)
    found = [group for group in groups.values() if group.keys() & {*names}]
    if not found:
        known = ', '.join(dict.fromkeys(line['checkpoint'] for line in lines))
        raise UserError(
            f'{results} has results of {known}, none of {", ".join(names)}; name the teachers as '
            'the checkpoints are named, NAME=TEACHER'
        )
    return found


def against_scores(measured: Sequence[Measured], groups: Sequence[Scores]) -> list[Against]:
    """A panel for each group, of the targets that have a score in it."""
    return [_against(measured, scores) for scores in groups]


def _against(measured: Sequence[Measured], scores: Scores) -> Against:
    points = [
        Point(one.name, one.diversity, *(scores[one.name][key] for key in ('value', 'low', 'high')))
        for one in measured
        if one.name in scores
    ]
    first = next(iter(scores.values()))
    return Against(
        f'{first["task"]}, {first["protocol"]} v{first["protocol_version"]}',
        first['metric_name'],
        tuple(points),
        rank_correlation(
            [point.diversity.mean for point in points], [point.score for point in points]
        ),
    )


def report_numbers(results: Path) -> list[dict[str, Any]]:
    """`numbers` of `mimbench report --json`. Raises UserError with its own line."""
    with tempfile.TemporaryDirectory() as folder:
        command = [*REPORT, str(results), '--out', folder, '--by-name', '--json']
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines() or ['mimbench report failed']
        raise UserError(said[-1].removeprefix(PREFIX))
    return json.loads(done.stdout)['numbers']
