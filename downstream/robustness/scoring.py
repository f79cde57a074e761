"""Score a trained model under each corruption and severity, and on each further test set, once.

Every scoring is a small file below the job's logs as soon as it is done, so that whatever kills
the job, it goes on with the next. It belongs to the weights
that were scored: those of another training are never taken for them.
"""

import copy
import json
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from mmengine.dist import is_main_process
from mmengine.logging import MMLogger
from mmengine.runner import Runner

from downstream.evaluation.fingerprint import tensors_digest
from downstream.results.interval import HalfScores, half_scores
from downstream.results.robustness import CLEAN, Robustness, Scored, row_name
from downstream.robustness.conditions import VERSION, Conditions
from downstream.task import Evaluation, Task
from mim_backbones.console.atomic_file import write_bytes_atomically

if TYPE_CHECKING:
    from downstream.evaluation.progress import ProgressFile
    from downstream.robustness.pipeline import Switch

FOLDER = 'corruptions'  # in a job's log folder


class Scoring(NamedTuple):
    """One scoring: metrics in percent; the halves of those that sum the task up."""

    metrics: dict[str, float]
    halves: dict[str, HalfScores]


def score_corrupted(
    task: Task,
    runner: Runner,
    watch: 'ProgressFile',
    switch: 'Switch | None',
    conditions: Conditions,
    clean: Evaluation,
    folder: Path,
) -> Scored:
    """The trained model under every condition, and on every set, that `folder` does not hold yet.

    Args:
        watch: is told how many rounds of the test set there are.
        switch: in the test set's pipeline; None without corruptions.
        clean: what the task found on clean pictures.
        folder: of the finished scorings.
    """
    weights = tensors_digest(runner.model.state_dict())
    pairs = conditions.pairs()
    found: dict[tuple[str, int], Scoring] = {}
    for pair in pairs:
        kept = _read(_file(folder, *pair), weights, _made_with(conditions, pair[0]))
        if kept is not None:
            found[pair] = kept
    missing = [pair for pair in pairs if pair not in found]
    for count, pair in enumerate(missing):
        assert switch is not None
        watch.begin_round('corrupted', count, len(missing))
        switch.turn(*pair)
        evaluation = task.run(runner, watch.progress)
        scoring = _scoring(task, evaluation)
        if is_main_process():
            made_with = _made_with(conditions, pair[0])
            _write(_file(folder, *pair), scoring, weights, made_with)
            primary = task.primary(scoring.metrics)
            MMLogger.get_current_instance().info(
                f'{row_name(*pair)}: {primary} {scoring.metrics[primary]:.2f}, '
                f'clean {clean.metrics[primary]:.2f}'
            )
        found[pair] = scoring
    if switch is not None:
        switch.off()
    scores: dict[str, dict[str, dict[str, float]]] = {name: {} for name in conditions.corruptions}
    for name, severity in pairs:
        scores[name][str(severity)] = found[name, severity].metrics
    shifts = _score_shifts(task, runner, watch, conditions, weights, folder)
    rows = {CLEAN: _scoring(task, clean).halves}
    rows |= {row_name(*pair): found[pair].halves for pair in pairs}
    robustness = Robustness(
        scores,
        conditions.frost,
        VERSION,
        files=Path(conditions.files).name,
        shifts={name: found.metrics for name, found in shifts.items()},
    )
    rows = rows if all(rows.values()) and scores else {}
    return Scored(robustness, rows)


def _score_shifts(
    task: Task,
    runner: Runner,
    watch: 'ProgressFile',
    conditions: Conditions,
    weights: str,
    folder: Path,
) -> dict[str, Scoring]:
    """By name of the set; its own loader takes the place of the test set's meanwhile."""
    found = {}
    for count, (name, place) in enumerate(conditions.shifts):
        path = folder / f'shift-{name}.json'
        config = copy.deepcopy(runner.cfg.test_dataloader)
        config.dataset.shifted = place
        loader = runner.build_dataloader(config, seed=runner.seed)
        made_with = [place, len(loader.dataset)]
        kept = _read(path, weights, made_with)
        if kept is None:
            watch.begin_round('shifted', count, len(conditions.shifts))
            usual, runner.test_loop.dataloader = runner.test_loop.dataloader, loader
            kept = _scoring(task, task.run(runner, watch.progress))
            runner.test_loop.dataloader = usual
            if is_main_process():
                _write(path, kept, weights, made_with)
                primary = task.primary(kept.metrics)
                said = f'{name}: {primary} {kept.metrics[primary]:.2f}'
                MMLogger.get_current_instance().info(said)
        found[name] = kept
    return found


def _scoring(task: Task, evaluation: Evaluation) -> Scoring:
    metrics = {key: float(value) for key, value in evaluation.metrics.items()}
    if evaluation.units is None:
        return Scoring(metrics, {})
    halves = half_scores(evaluation.units)
    return Scoring(metrics, {key: halves[key] for key in task.headline if key in halves})


def _made_with(conditions: Conditions, corruption: str) -> list:
    if conditions.files:
        return [VERSION, conditions.files]
    return [VERSION, conditions.frost if corruption == 'frost' else '']


def _file(folder: Path, corruption: str, severity: int) -> Path:
    return folder / f'{corruption}-{severity}.json'


def _write(path: Path, scoring: Scoring, weights: str, made_with: list) -> None:
    halves = {
        metric: [found.whole, found.first.tolist(), found.second.tolist(), found.units]
        for metric, found in scoring.halves.items()
    }
    content = {'weights': weights, 'made_with': made_with, 'metrics': scoring.metrics}
    write_bytes_atomically(path, json.dumps({**content, 'halves': halves}).encode())


def _read(path: Path, weights: str, made_with: list) -> Scoring | None:
    """A finished scoring of the same weights."""
    if not path.is_file():
        return None
    content = json.loads(path.read_text())
    if (content['weights'], content['made_with']) != (weights, made_with):
        return None
    halves = {
        metric: HalfScores(whole, np.array(first), np.array(second), units)
        for metric, (whole, first, second, units) in content['halves'].items()
    }
    return Scoring(content['metrics'], halves)
