"""Rehearse every job of a matrix, and say what the whole of it will take.

A job is run twice, each time as a process of its own, as the real one will be: two steps and a
checkpoint, then one step more from that checkpoint and the scoring of two images. Recipe, input
size, data, workers and memory are the real ones, with two exceptions that a row says:

    micro-batches    a step takes at most two of them, the others cost the same again
    at a time        without a GPU, a recipe that is made for one takes one image at a time (two
                     where it has batch norms, which need them)

Jobs that differ in their seed only are rehearsed once.
"""

import copy
import shutil
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mmengine.config import ConfigDict

from downstream.evaluation.contestants import open_contestants
from downstream.evaluation.job import Job
from downstream.evaluation.job_config import batch_of
from downstream.evaluation.plan import Planned, Request, lanes, plan_jobs, visible_gpus
from downstream.evaluation.pool import run_jobs
from downstream.evaluation.rehearsal.measures import IMAGES, STEPS, Measures
from downstream.task import tasks
from mim_backbones.console.atomic_file import check_writable, nearest_existing
from mim_backbones.console.display import PoolDisplay
from mim_backbones.data_spec import load_data_spec
from mim_backbones.errors import UserError

WORKER = 'downstream.evaluation.rehearsal.worker'
PARTS = 2  # micro-batches of a rehearsed step


@dataclass(frozen=True)
class Rehearsed:
    """A job, and what its rehearsal foretells of it.

    Attributes:
        count: jobs of the matrix like it: seeds.
        at_once: images that a process took at a time, of `real_at_once` in the job.
        step_images: of a step of the job.
        failure: one line; None where all went well.
        held: checkpoints of the job at most, while it runs; None of them is left at its end unless
            they are to be kept.
    """

    job: Job
    count: int
    at_once: int
    real_at_once: int
    step_images: int
    held: int
    measures: Measures
    failure: str | None = None

    @property
    def step_seconds(self) -> float:
        """Of a step of the job."""
        return self.measures.step_seconds * self.step_images / max(1, self.measures.step_images)

    @property
    def seconds(self) -> float:
        """Of the whole job."""
        scored = -(-self.job.card.val // self.job.processes)
        conditions = 1 + (len(self.job.conditions.pairs()) if self.job.conditions else 0)
        training = self.measures.steps * self.step_seconds
        scoring = scored * conditions * self.measures.image_seconds
        return self.measures.start_seconds + training + scoring

    @property
    def disk_bytes(self) -> int:
        """At most, while it runs."""
        return self.held * self.measures.checkpoint_bytes

    @property
    def kept_bytes(self) -> int:
        """Once it is done."""
        kept = max(0, self.held - 1) if self.job.keep_checkpoints else 0
        return kept * self.measures.checkpoint_bytes


@dataclass(frozen=True)
class Matrix:
    """All jobs of a request.

    Attributes:
        refused: what could not even be planned -> why, in one line.
        there: jobs whose result is there already.
        parallel: jobs at a time.
        free_bytes: where the results go.
    """

    rows: list[Rehearsed]
    refused: dict[str, str]
    there: int
    parallel: int
    free_bytes: int

    @property
    def seconds(self) -> float:
        """Of all jobs, `parallel` at a time in their order."""
        busy = [0.0] * self.parallel
        for row in self.rows:
            for _ in range(row.count if row.failure is None else 0):
                place = busy.index(min(busy))
                busy[place] += row.seconds
        return max(busy)

    @property
    def disk_bytes(self) -> int:
        """At most: what is kept of all, and what those that run at a time hold beside."""
        each = [row for row in self.rows for _ in range(row.count)]
        beside = sorted((row.disk_bytes - row.kept_bytes for row in each), reverse=True)
        return sum(row.kept_bytes for row in each) + sum(beside[: self.parallel])

    @property
    def failures(self) -> dict[str, str]:
        """Title -> one line, of all that cannot be run as it is."""
        failed = {row.job.title: row.failure for row in self.rows if row.failure}
        if self.disk_bytes > self.free_bytes:
            failed['disk'] = (
                f'the matrix needs {self.disk_bytes / 2**30:.1f} GiB for checkpoints, and '
                f'{self.free_bytes / 2**30:.1f} GiB are free; give another --out, fewer --jobs, or '
                '--cfg-options default_hooks.checkpoint.max_keep_ckpts=1'
            )
        return {**self.refused, **failed}


def rehearse_all(request: Request) -> Matrix:
    """Rehearse what `evaluate_all` would run. Nothing is written among the results.

    Raises:
        UserError: the data file or the folder of the results cannot be used at all.
    """
    tasks()
    spec = load_data_spec(request.data)
    check_writable(request.out)
    refused: dict[str, str] = {}

    def refuse(title: str, error: UserError) -> None:
        refused[title] = str(error)

    contestants = open_contestants(request.sources, request.arch, request.backbone, refuse)
    planned = plan_jobs(request, contestants, spec, refuse) if contestants else []
    waiting = [one for one in planned if one.done is None]
    parallel = request.jobs or lanes(request.processes)
    existed = request.out.exists()
    folder = request.out.resolve() / 'rehearsal'
    shutil.rmtree(folder, ignore_errors=True)
    groups = like_but_for_seed(waiting)
    try:
        rows = rehearse(groups, folder, parallel)
        there = len(planned) - len(waiting)
        free = shutil.disk_usage(nearest_existing(request.out)).free
        found = Matrix(rows, refused, there, parallel, free)
    finally:
        for path in folder.rglob('*.pth'):
            path.unlink()
    if not any(row.failure for row in rows):  # else the logs are wanted
        shutil.rmtree(folder, ignore_errors=True)
        if not existed:
            with suppress(OSError):
                request.out.rmdir()
    return found


def like_but_for_seed(planned: Iterable[Planned]) -> list[list[Planned]]:
    groups: dict[tuple[Any, ...], list[Planned]] = {}
    for one in planned:
        groups.setdefault(replace(one.job, seed=0).key, []).append(one)
    return list(groups.values())


def rehearse(groups: Sequence[Sequence[Planned]], folder: Path, parallel: int) -> list[Rehearsed]:
    """One of each group, twice."""
    cut = [shortened(group[0], folder) for group in groups]
    failures: dict[str, str] = {}
    with PoolDisplay(2 * len(cut)) as display:
        for title in ('trains two steps', 'resumes and scores'):
            display.say(f'rehearsal: every job {title}')
            left = [one for one in cut if one.job.title not in failures]
            for ended in run_jobs(left, parallel, display, WORKER):
                if ended.failure:
                    failures[ended.job.title] = ended.failure
    rows = []
    for group, one in zip(groups, cut, strict=True):
        real, rehearsed = (batch_of(each.config, one.job.processes) for each in (group[0], one))
        measures = Measures.load(one.job.log_folder)
        parts = real.of_iteration / rehearsed.of_iteration
        if 'max_epochs' in one.config.train_cfg:  # else the number is the recipe's own
            measures = replace(measures, steps=round(measures.steps / parts))
        rows.append(Rehearsed(
            group[0].job, len(group), rehearsed.at_once, real.at_once, real.of_iteration,
            checkpoints_held(group[0], measures.steps), measures, failures.get(one.job.title),
        ))  # fmt: skip
    return rows


def shortened(planned: Planned, folder: Path) -> Planned:
    """The rehearsal of a job: its own folder, few steps and images, and a checkpoint of them."""
    job = replace(planned.job, out=str(folder), keep_checkpoints=True)
    cfg = copy.deepcopy(planned.config)
    cfg.work_dir, cfg.resume = str(job.log_folder), True
    batch = batch_of(cfg, job.processes)
    at_once = batch.at_once
    if not visible_gpus() and job.protocol.tier != 'smoke':
        at_once = min(at_once, 2 if has_batch_norm(cfg.model) else 1)
    parts = min(PARTS, batch.parts * batch.at_once // at_once)
    cfg.train_dataloader.batch_size = at_once
    cfg.auto_scale_lr = {
        'enable': False,
        'base_batch_size': at_once * parts * batch.processes * batch.accumulated,
    }
    steps = min(STEPS, cfg.train_cfg.get('max_iters', STEPS))
    cfg.default_hooks = {
        **cfg.get('default_hooks', {}),
        'checkpoint': {'type': 'CheckpointHook', 'by_epoch': False, 'interval': steps},
    }
    cfg.test_dataloader.dataset = ConfigDict(
        type='downstream.Few', dataset=cfg.test_dataloader.dataset, count=IMAGES
    )
    return Planned(job, cfg, None)


def has_batch_norm(node: Any) -> bool:
    """Whether a model's config names batch norms: they need more than one value per channel."""
    if isinstance(node, dict):
        kind = node.get('type')
        return (isinstance(kind, str) and kind.endswith(('BN', 'BN1d', 'BN2d', 'BatchNorm'))) or (
            any(map(has_batch_norm, node.values()))
        )
    return isinstance(node, list | tuple) and any(map(has_batch_norm, node))


def checkpoints_held(planned: Planned, steps: int) -> int:
    """Files of the job while it runs, the one being written included."""
    saving = planned.config.get('default_hooks', {}).get('checkpoint')
    if not saving:
        return 0
    length = steps
    if saving.get('by_epoch', True):
        length = planned.config.train_cfg.get('max_epochs', 1)
    written = max(1, length // max(1, saving.get('interval', 1)))
    most = saving.get('max_keep_ckpts', -1)
    return min(written, most if most > 0 else written) + 1
