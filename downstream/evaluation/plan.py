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
from downstream.evaluation.contestants import Contestant
from downstream.evaluation.job import Job
from downstream.evaluation.job_config import behaving, fitted, identity_of, protocol_of
from downstream.evaluation.protocols import Recipe, find_protocol, recipes
from downstream.results.result import Result, read_result
from downstream.task import find_task, tasks
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


@dataclass(frozen=True)
class Planned:
    """A job, its config, and the result it would repeat, if that is there already."""

    job: Job
    config: Config
    done: Path | None


def plan_jobs(request: Request, contestants: Sequence[Contestant], spec: DataSpec) -> list[Planned]:
    """One job per contestant, protocol and seed, in that order of nesting.

    Raises:
        UserError: a broken data set, an unknown task, tier or protocol, a config key that nothing
            reads.
    """
    chosen = [list(_protocols(request, one, spec)) for one in contestants]
    names = dict.fromkeys(recipe.protocol.task for found in chosen for recipe in found)
    cards = {name: find_task(name).describe(require(spec, name)) for name in names}
    earlier = {result_key(result): path for path, result in finished_results(request.out)}
    protocols: dict[Path, tuple[str, dict[str, Any]]] = {}
    planned = []
    for contestant, found in zip(contestants, chosen):
        for recipe in found:
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
            )
            cfg = fitted(job, spec)
            check_config(cfg, request.options)
            check_counts(cfg, ('train', 'test'))
            if recipe.path not in protocols:
                protocols[recipe.path] = protocol_of(job, spec)
            job = replace(job, identity=identity_of(job, cfg, protocols[recipe.path]))
            for seed in request.seeds:
                own = replace(job, seed=seed)
                cfg = cfg if own == job else fitted(own, spec)
                planned.append(Planned(own, behaving(cfg, own), earlier.get(own.key)))
    return planned


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


def _protocols(request: Request, contestant: Contestant, spec: DataSpec) -> Iterator[Recipe]:
    """The recipes a contestant runs, by task."""
    known = recipes()
    unknown = next((name for name in request.protocols if name not in known), None)
    if unknown is not None:
        raise UserError(f'no protocol {unknown!r}; `mimbench protocols` lists: {", ".join(known)}')
    named = {name: known[name].protocol.task for name in request.protocols}
    wanted = request.tasks or named.values() or [name for name in tasks() if name in spec]
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
            yield find_protocol(task, request.tier, family, name, arch)
