"""Run one job in this process, or in several under torchrun, as `mimbench eval` starts it.

    python -m downstream.evaluation.worker LOGS/NAME/job.json

Trains by the `config.py` beside the job file, going on from the last checkpoint where the config
says so, evaluates and writes the result. A failure leaves one line in `failure.txt`, and exit code
1 (2 when the user can mend it).
"""

import math
import os
import resource
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from downstream.evaluation.backbone_config import architecture_name
from downstream.evaluation.job import CONFIG, FAILURE, PROGRESS, Job
from downstream.results.result import Result, write_result
from downstream.task import Evaluation, find_task
from mim_backbones.console.environment import cpu_name
from mim_backbones.console.processes import end_with_torchrun
from mim_backbones.errors import UserError

if TYPE_CHECKING:
    from mmengine.runner import Runner

DISTRIBUTIONS = (
    'mimbench', 'torch', 'onedl-mmengine', 'onedl-mmcv', 'onedl-mmdetection',
    'onedl-mmsegmentation', 'mmengine', 'mmcv', 'mmdet', 'mmsegmentation',
)  # fmt: skip


def run(job: Job, folder: Path) -> None:
    """Trains and evaluates; the first process writes the result, and clears away checkpoints.

    Raises:
        UserError: the data, the checkpoint or the config cannot be used.
    """
    started = time.monotonic()
    import torch

    torch.set_num_threads(max(1, job.threads // job.processes))

    from mmengine.config import Config
    from mmengine.dist import is_main_process

    from downstream.evaluation.progress import Progress, ProgressFile
    from downstream.robustness.pipeline import make_corruptible
    from downstream.robustness.scoring import FOLDER, score_corrupted
    from mim_backbones.training.distributed import leave_together, undistributed
    from mim_backbones.training.launch import build_errors_in_one_line, build_runner

    config = folder / CONFIG
    cfg = Config.fromfile(config)
    runner = build_runner(cfg)
    progress = Progress(folder / PROGRESS if is_main_process() else None)
    watch = ProgressFile(progress)
    runner.register_hook(watch)
    begun = time.monotonic()
    with build_errors_in_one_line(str(config)):
        runner.train()
    trained = time.monotonic()
    runner.model = undistributed(runner.model)  # each process scores its share by itself
    task, scored, switch = find_task(job.task), None, None
    if job.conditions is not None and job.conditions.corruptions:
        switch = make_corruptible(runner.test_dataloader.dataset, job.conditions)
    evaluation = task.run(runner, progress)
    evaluated = time.monotonic()
    if job.conditions is not None:
        scored = score_corrupted(
            task, runner, watch, switch, job.conditions, evaluation, folder / FOLDER
        )
    done = time.monotonic()
    if is_main_process():
        steps = runner.iter - watch.first
        images = steps * runner.step_batch.of_iteration
        cost = {
            'seconds': done - started,
            'train_seconds': trained - begun,
            'eval_seconds': evaluated - trained,
            'peak_memory_mib': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            'train_images_per_second': images / (trained - begun),
        }
        if scored is not None:
            cost['corruption_seconds'] = done - evaluated
        if torch.cuda.is_available():
            cost['peak_gpu_memory_mib'] = torch.cuda.max_memory_allocated() / 2**20
        result = result_of(job, evaluation, cost, run_of(job, runner, watch.first))
        write_result(Path(job.out), result, evaluation.units, evaluation.pictures, scored)
        if not job.keep_checkpoints:
            for path in (*folder.glob('*.pth'), folder / 'last_checkpoint'):
                path.unlink(missing_ok=True)
    leave_together()


def result_of(
    job: Job, evaluation: Evaluation, cost: dict[str, float], about: dict[str, Any]
) -> Result:
    """What is written down of a job's end.

    Raises:
        UserError: a score is not finite.
    """
    for key, value in evaluation.metrics.items():
        if not math.isfinite(value):
            raise UserError(
                f'{job.task}: {key} is {value}, so no result is written; look at the predictions '
                'with --keep-checkpoints and tools/test.py --show-dir'
            )
    return Result(
        name=job.name,
        checkpoint=job.checkpoint,
        method=job.method,
        architecture=architecture_name(job.backbone),
        task=job.task,
        protocol=job.protocol,
        metrics={key: float(value) for key, value in evaluation.metrics.items()},
        primary=find_task(job.task).primary(evaluation.metrics),
        seed=job.seed,
        cost={key: round(value, 3) for key, value in cost.items()},
        versions=installed_versions(),
        data=vars(job.card),
        config_sha256=job.identity.config,
        protocol_sha256=job.identity.protocol,
        backbone_sha256=job.identity.backbone,
        changes=job.identity.changes,
        run={**about, **evaluation.about()},
    )


def run_of(job: Job, runner: 'Runner', first: int) -> dict[str, Any]:
    """When, by what command and on what hardware; costs are those since `resumed_at`."""
    import torch

    about = {
        **circumstances(job.command),
        'gpus': [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        'threads': job.threads,
        'processes': job.processes,
        'steps': runner.iter,
        'images_per_step': runner.step_batch.images,
    }
    return {**about, 'resumed_at': first} if first else about


def circumstances(command: str) -> dict[str, Any]:
    """Of whatever writes a result now."""
    return {
        'date': datetime.now(timezone.utc).astimezone().isoformat(timespec='seconds'),
        'command': command,
        'cpu': cpu_name(),
    }


def installed_versions() -> dict[str, str]:
    """Versions of what computes the numbers."""
    versions = {'python': sys.version.split()[0]}
    for name in DISTRIBUTIONS:
        with suppress(PackageNotFoundError):
            versions[name] = version(name)
    return versions


def failure_line(error: BaseException) -> str:
    """One line for people; the traceback goes to the log."""
    text = ' '.join(str(error).split()) or 'no message'
    return text if isinstance(error, UserError) else f'{type(error).__name__}: {text}'


def exit_code(work: Callable[[Job, Path], None]) -> int:
    """Do a job's work; what it fails of goes to its log and, in one line, to its folder."""
    path = Path(sys.argv[1])
    end_with_torchrun()
    try:
        work(Job.load(path), path.parent)
    except Exception as error:
        # The boundary of the process: whatever went wrong here must not stop the other jobs.
        traceback.print_exc()
        # Of several processes the first to fail is right; the others lost their connection to it.
        with suppress(FileExistsError), (path.parent / FAILURE).open('x') as stream:
            stream.write(failure_line(error))
        return 2 if isinstance(error, UserError) else 1
    return 0


if __name__ == '__main__':
    code = exit_code(run)
    sys.stdout.flush()
    sys.stderr.flush()
    # Interpreter shutdown of the whole stack takes a second that nothing needs.
    os._exit(code)
