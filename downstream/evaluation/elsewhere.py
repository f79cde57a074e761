"""Predictions made elsewhere -> a result row under a protocol of its own.

How they were made is not known, so that they are never compared with what a recipe of this suite
trained: tier, name and digest of their protocol are those of no recipe. Rows scored so on the same
data compare with each other, as their maker sees fit; the predictions of several trainings are
scored under one name with a seed each.
"""

import hashlib
import time
from pathlib import Path
from typing import Any

from downstream.evaluation.fingerprint import file_digest
from downstream.evaluation.job_config import digest
from downstream.evaluation.worker import circumstances, installed_versions
from downstream.results.result import ELSEWHERE, Protocol, Result, write_result
from downstream.task import Evaluation, Task
from mim_backbones.errors import UserError

UNKNOWN = 'unknown'
VERSION = '1'  # of how predictions are read and scored


def score_elsewhere(
    task: Task,
    data: Any,
    predictions: Path,
    name: str,
    seed: int,
    out: Path,
    command: str,
    protocol: str | None = None,
) -> tuple[Path, Result, Evaluation]:
    """Score and write the row.

    Args:
        data: the task's data section.
        seed: tells several trainings of one name apart.
        protocol: one of the task's `score_protocols`, the first if not given; part of the row's.

    Raises:
        UserError: the task scores no predictions, or not by that protocol, or these cannot be
            scored.
    """
    if task.score_predictions is None:
        raise UserError(f'{task.name} takes no predictions made elsewhere; evaluate a checkpoint')
    if not predictions.exists():
        raise UserError(f'predictions {predictions} are not there')
    by = _protocols(task, protocol)
    begun = time.monotonic()
    card = task.describe(data)
    evaluation = task.score_predictions(data, predictions, *by)
    content = _content_digest(predictions)
    rules = digest([ELSEWHERE, task.name, VERSION, *by])
    result = Result(
        name=name,
        checkpoint=None,
        method=UNKNOWN,
        architecture=UNKNOWN,
        task=task.name,
        protocol=Protocol('-'.join(['predictions', *by]), VERSION, task.name, ELSEWHERE),
        metrics=evaluation.metrics,
        primary=task.primary(evaluation.metrics),
        seed=seed,
        cost={'eval_seconds': round(time.monotonic() - begun, 3)},
        versions=installed_versions(),
        data=vars(card),
        config_sha256=digest([rules, content]),
        protocol_sha256=rules,
        backbone_sha256=digest(UNKNOWN),
        run={
            **circumstances(command),
            **evaluation.about(),
            'predictions': str(predictions.resolve()),
            'predictions_sha256': content,
        },
    )
    path = write_result(out, result, evaluation.units, evaluation.pictures)
    return path, result, evaluation


def _protocols(task: Task, protocol: str | None) -> tuple[str, ...]:
    """The one that is meant, or none for a task of one way to score."""
    known = task.score_protocols
    if protocol is None:
        return known[:1]
    if protocol not in known:
        raise UserError(
            f'--protocol {protocol}: {task.name} is scored by '
            f'{" or ".join(known) if known else "one protocol; leave the option out"}'
        )
    return (protocol,)


def _content_digest(predictions: Path) -> str:
    """SHA-256 of a file, or of the names and contents of a folder's files."""
    if predictions.is_file():
        return file_digest(predictions)
    found = hashlib.sha256()
    for path in sorted(path for path in predictions.rglob('*') if path.is_file()):
        found.update(f'{path.relative_to(predictions)} {file_digest(path)}\n'.encode())
    return found.hexdigest()
