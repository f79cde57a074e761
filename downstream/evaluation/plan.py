"""From the words of `mimbench eval` to jobs; everything that can be wrong is found here."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from mmengine.config import Config

from downstream.evaluation.backbone_config import family_of, named_arch
from downstream.evaluation.contestants import Contestant, Refuse, stop_at
from downstream.evaluation.job import Job
from downstream.evaluation.job_config import behaving, fitted, identity_of, protocol_of
from downstream.evaluation.protocols import Recipe, find_protocol, recipes
from downstream.results.result import Result, read_result
from downstream.robustness.conditions import VERSION, Conditions
from downstream.robustness.pipeline import check_decodes, check_files
from downstream.task import DataCard, find_task, tasks
from mim_backbones.console.processes import cores
from mim_backbones.data_spec import DataSpec, require
from mim_backbones.errors import UserError
from mim_backbones.training.preflight import check_counts
from mim_backbones.training.unread_keys import check_config


@dataclass(frozen=True)
class Request:
    """What the user asked for.

    Attributes:
        sources: FILE, NAME=FILE, timm:NAME or 'random'.
        tasks: names; empty for those of `protocols`, or else all that the data file names.
        protocols: names; a task of which none is named takes its own of `tier`.
        backbone: what shapes do not show, KEY or NAME:KEY -> value.
        options: over the recipes, dotted key -> value.
        jobs: at a time; None for as many as the machine is meant for.
        processes: of each job.
        threads: of each job; None for the cores' share.
        conditions: corruptions under which each trained model is scored too.
        shifted: whether it is scored on the further test sets that the data file names, too.
    """

    sources: tuple[str, ...]
    data: Path
    out: Path
    tasks: tuple[str, ...] = ()
    tier: str = 'smoke'
    protocols: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (0,)
    arch: str | None = None
    backbone: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    jobs: int | None = None
    processes: int = 1
    threads: int | None = None
    keep_checkpoints: bool = False
    command: str = ''
    conditions: Conditions | None = None
    shifted: bool = False


@dataclass(frozen=True)
class Planned:
    """A job, its config, and the result it would repeat, if that is there already."""

    job: Job
    config: Config
    done: Path | None


def plan_jobs(
    request: Request,
    contestants: Sequence[Contestant],
    spec: DataSpec,
    refuse: Refuse = stop_at,
) -> list[Planned]:
    """One job per contestant, protocol and seed, in that order of nesting.

    Args:
        refuse: called with the title of what cannot be run; the rest is planned if it returns.

    Raises:
        UserError: a broken data set, an unknown task, tier or protocol, a config key that nothing
            reads.
    """
    chosen = [list(_protocols(request, one, spec, refuse)) for one in contestants]
    cards: dict[str, DataCard] = {}
    for name in dict.fromkeys(recipe.protocol.task for found in chosen for recipe in found):
        try:
            cards[name] = find_task(name).describe(require(spec, name))
        except UserError as error:
            refuse(name, error)
    earlier = {result_key(result): (path, result) for path, result in finished_results(request.out)}
    protocols: dict[Path, tuple[str, dict[str, Any]]] = {}
    planned = []
    for contestant, found in zip(contestants, chosen):
        for recipe in found:
            if recipe.protocol.task not in cards:
                continue
            job = Job(
                name=contestant.name,
                checkpoint=contestant.checkpoint,
                method=contestant.method,
                backbone=contestant.backbone,
                protocol=recipe.protocol,
                recipe=str(recipe.path),
                seed=request.seeds[0],
                card=cards[recipe.protocol.task],
                out=str(request.out.resolve()),
                options=request.options,
                threads=request.threads or max(1, cores() // lanes(request.processes)),
                processes=request.processes,
                keep_checkpoints=request.keep_checkpoints,
                command=request.command,
                conditions=request.conditions,
            )
            try:
                job = replace(job, conditions=_conditions(request, job.task, spec))
                cfg = _checked(job, spec)
                if recipe.path not in protocols:
                    protocols[recipe.path] = protocol_of(job, spec)
                job = replace(job, identity=identity_of(job, cfg, protocols[recipe.path]))
                for seed in request.seeds:
                    own = replace(job, seed=seed)
                    cfg = cfg if own == job else fitted(own, spec)
                    done = _done(own, *earlier.get(own.key, (None, None)))
                    planned.append(Planned(own, behaving(cfg, own), done))
            except UserError as error:
                refuse(f'{job.name} · {job.task} {job.protocol.name}', error)
    return planned


def _checked(job: Job, spec: DataSpec) -> Config:
    """The fitted config of a job. Raises UserError for what in it cannot be run."""
    cfg = fitted(job, spec)
    check_config(cfg, job.options)
    check_counts(cfg, ('train', 'test'))
    if job.conditions is not None and job.conditions.corruptions:
        check_decodes(cfg, job.task)
        check_files(job.conditions)
    return cfg


def _conditions(request: Request, task: str, spec: DataSpec) -> Conditions | None:
    """What a task's models are scored on beside the test set.

    Raises:
        UserError: further test sets are asked for, and the data names none.
    """
    section = require(spec, task)
    found = request.conditions
    if found is not None and getattr(section, 'corrupted', ''):
        found = replace(found, files=str(section.root / section.corrupted))
    if not request.shifted:
        return found
    listed = find_task(task).shifts
    shifts = tuple(listed(section).items()) if listed else ()
    if not shifts:
        raise UserError(
            f'--shifted: the {task} data names no further test sets (`shifted: [FOLDER, ...]`); '
            'name the other tasks with --tasks'
        )
    return replace(found or Conditions((), ()), shifts=shifts)


def _done(job: Job, path: Path | None, result: Result | None) -> Path | None:
    """The file of an earlier result, if it holds all that is asked for."""
    asked = job.conditions
    if asked is None or result is None:
        return path
    scored = result.robustness
    return path if scored is not None and scored.covers(asked, VERSION) else None


def lanes(processes: int) -> int:
    """Jobs that the machine is meant to run at a time: a GPU for each process, or two on a CPU."""
    gpus = len(visible_gpus())
    return max(1, gpus // processes) if gpus else min(2, cores())


@cache
def visible_gpus() -> tuple[str, ...]:
    """The GPUs this process may use, as CUDA_VISIBLE_DEVICES names them."""
    import torch

    named = os.environ.get('CUDA_VISIBLE_DEVICES', '')
    count = torch.cuda.device_count()
    return tuple(named.split(',')[:count]) if named else tuple(map(str, range(count)))


def finished_results(out: Path) -> Iterator[tuple[Path, Result]]:
    """Whole results in a folder; broken ones are evaluated again, so they do not count."""
    for path in sorted(out.glob('[!.]*.json')):
        with contextlib.suppress(UserError):
            yield path, read_result(path).result


def result_key(result: Result) -> tuple[Any, ...]:
    """What tells results apart; `Job.key` is the same of a job."""
    digest = result.checkpoint.sha256 if result.checkpoint else None
    config, data = result.config_sha256, result.data['fingerprint']
    return (result.name, digest, result.task, result.protocol, config, data, result.seed)


def _protocols(
    request: Request, contestant: Contestant, spec: DataSpec, refuse: Refuse
) -> Iterator[Recipe]:
    """The recipes a contestant runs, by task."""
    known = recipes()
    unknown = next((name for name in request.protocols if name not in known), None)
    if unknown is not None:
        raise UserError(f'no protocol {unknown!r}; `mimbench protocols` lists: {", ".join(known)}')
    named = {name: known[name].protocol.task for name in request.protocols}
    wanted = request.tasks or named.values() or [name for name in tasks() if name in set(spec)]
    stray = next((name for name, task in named.items() if task not in wanted), None)
    if stray is not None:
        raise UserError(f'protocol {stray} is of {named[stray]}, which --tasks does not name')
    if not wanted:
        raise UserError(
            f'data file {spec.file} names no data of a task; known: {", ".join(tasks())}'
        )
    family, arch = family_of(contestant.backbone), named_arch(contestant.backbone)
    for task in dict.fromkeys(wanted):
        chosen: list[str | None] = [name for name in named if named[name] == task]
        for name in chosen or [None]:
            try:
                yield find_protocol(task, request.tier, family, name, arch)
            except UserError as error:
                refuse(f'{contestant.name} · {task}', error)
