"""Rehearse one job, as `downstream.evaluation.worker` runs it.

    python -m downstream.evaluation.rehearsal.worker LOGS/NAME/job.json

The first time it takes two steps and writes a checkpoint. The second time it goes on from that for
one more step, and scores.
"""

import os
import sys
import time
from dataclasses import replace
from pathlib import Path

from downstream.evaluation.job import CONFIG, PROGRESS, Job
from downstream.evaluation.worker import exit_code
from downstream.task import find_task
from mim_backbones.errors import UserError


def rehearse(job: Job, folder: Path) -> None:
    """One of the two times; see the module.

    Raises:
        UserError: the data, the checkpoint or the config cannot be used, or it needs more memory
            than the GPU has.
    """
    started = time.monotonic()
    import torch

    torch.set_num_threads(max(1, job.threads // job.processes))

    from mmengine.config import Config
    from mmengine.dist import is_main_process

    from downstream.evaluation.progress import Progress, ProgressFile
    from downstream.evaluation.rehearsal.measures import Measures, Stopwatch, gpu_bytes, host_bytes
    from mim_backbones.training.distributed import leave_together, undistributed
    from mim_backbones.training.launch import build_errors_in_one_line, build_runner

    config = folder / CONFIG
    runner = build_runner(Config.fromfile(config))
    progress = Progress(folder / PROGRESS if is_main_process() else None)
    watch = Stopwatch()
    for hook in (ProgressFile(progress), watch):
        runner.register_hook(hook)
    measures = Measures.load(folder)
    again = bool(list(folder.glob('*.pth')))
    try:
        with build_errors_in_one_line(str(config)):
            runner.train()
        if again and not watch.first:
            raise UserError(f'the checkpoint in {folder} was not resumed from')
        if again:
            runner.model = undistributed(runner.model)
            find_task(job.task).run(runner, progress)
            measures = replace(measures, image_seconds=watch.image_seconds)
    except torch.cuda.OutOfMemoryError as error:
        size = runner.step_batch.at_once
        raise UserError(
            f'{size} images at a time need more memory than the GPU has; --cfg-options '
            f'train_dataloader.batch_size={max(1, size // 2)} takes fewer at a time and leaves the '
            f'batch of a step'
        ) from error
    if not again:
        measures = replace(
            measures,
            start_seconds=watch.begun - started,
            step_seconds=watch.step_seconds,
            step_images=runner.step_batch.of_iteration,
            steps=runner.max_iters,
        )
    measures = replace(
        measures,
        host_bytes=max(measures.host_bytes, host_bytes()),
        gpu_bytes=gpu_bytes(),
        checkpoint_bytes=max((path.stat().st_size for path in folder.glob('*.pth')), default=0),
    )
    if is_main_process():
        measures.save(folder)
    leave_together()


if __name__ == '__main__':
    code = exit_code(rehearse)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
