"""From the words of `mimbench eval` to jobs; everything that can be wrong is found here."""

import contextlib
import io
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from downstream.evaluation.backbone_config import family_of
from downstream.evaluation.contestants import Contestant
from downstream.evaluation.job import Job, config_digest
from downstream.evaluation.protocols import find_protocol
from downstream.results.result import Result, read_result
from downstream.task import find_task
from mim_backbones.data_spec import DataSpec, require
from mim_backbones.errors import UserError


@dataclass(frozen=True)
class Planned:
    """A job, and the result it would repeat, if that is there already."""

    job: Job
    done: Path | None


def plan_jobs(
    contestants: Sequence[Contestant],
    tasks: Sequence[str],
    tier: str,
    seeds: Sequence[int],
    spec: DataSpec,
    out: Path,
    threads: int,
    options: dict[str, Any],
) -> list[Planned]:
    """One job per contestant, task and seed, in that order of nesting.

    Raises:
        UserError: a broken data set, an unknown task or tier, a config key that nothing reads.
    """
    from downstream.evaluation.job_config import job_config

    family = family_of(contestants[0].backbone)
    protocols = {task: find_protocol(task, tier, family) for task in tasks}
    recipes = {task: str(protocol.path) for task, protocol in protocols.items()}
    cards = {task: find_task(task).describe(require(spec, task)) for task in tasks}
    earlier = finished_results(out)
    planned = []
    for contestant in contestants:
        for task in tasks:
            for seed in seeds:
                job = Job(
                    name=contestant.name,
                    checkpoint=contestant.checkpoint,
                    method=contestant.method,
                    backbone=contestant.backbone,
                    task=task,
                    protocol=protocols[task].protocol,
                    recipe=recipes[task],
                    seed=seed,
                    data=str(spec.file.resolve()),
                    card=cards[task],
                    out=str(out.resolve()),
                    threads=threads,
                    options=options,
                )
                cfg = job_config(job, spec)
                if options and contestant is contestants[0] and seed == seeds[0]:
                    _check_options(cfg, options)
                planned.append(Planned(job, _same(earlier, job, config_digest(cfg))))
    return planned


def finished_results(out: Path) -> dict[Path, Result]:
    """Whole results in a folder; broken ones are evaluated again, so they do not count."""
    found = {}
    for path in sorted(out.glob('[!.]*.json')):
        try:
            found[path] = read_result(path).result
        except UserError:
            continue
    return found


def _same(earlier: dict[Path, Result], job: Job, digest: str) -> Path | None:
    for path, result in earlier.items():
        theirs = result.checkpoint.sha256 if result.checkpoint else None
        ours = job.checkpoint.sha256 if job.checkpoint else None
        if (
            theirs == ours
            and result.name == job.name
            and (result.task, result.protocol, result.seed) == (job.task, job.protocol, job.seed)
            and result.data['fingerprint'] == job.card.fingerprint
            and result.config_sha256 == digest
        ):
            return path
    return None


def _check_options(cfg: Any, options: dict[str, Any]) -> None:
    """Every job checks its config; with options of the user it is worth the wait to do it here."""
    from mim_backbones.training.config import check_config

    # Looking a name up in every registry makes mmengine warn of each one a package lacks.
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            check_config(cfg, options)
    finally:
        logging.disable(logging.NOTSET)
