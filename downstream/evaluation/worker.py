"""Run one job in this process, as `mimbench eval` starts it.

    python -m downstream.evaluation.worker JOB.json

Trains, evaluates and writes the result. A failure leaves one line in `failure.txt` beside the job
file, and exit code 1 (2 when the user can mend it).
"""

import os
import resource
import sys
import time
import traceback
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from downstream.evaluation.backbone_config import architecture_name
from downstream.evaluation.job import Job, config_digest
from downstream.results.result import Result, write_result
from downstream.task import find_task
from mim_backbones.data_spec import load_data_spec
from mim_backbones.errors import UserError

# Beside each other in the job's log folder.
JOB_FILE, LOG = 'job.json', 'log.txt'
FAILURE, PROGRESS = 'failure.txt', 'progress.json'
DISTRIBUTIONS = (
    'mimbench', 'torch', 'onedl-mmengine', 'onedl-mmcv', 'onedl-mmdetection',
    'onedl-mmsegmentation', 'mmengine', 'mmcv', 'mmdet', 'mmsegmentation',
)  # fmt: skip


def run(job: Job) -> Path:
    """Trains and evaluates; returns the result's JSON file.

    Raises:
        UserError: the data, the checkpoint or the config cannot be used.
    """
    started = time.monotonic()
    import torch

    torch.set_num_threads(job.threads)

    from downstream.evaluation.job_config import job_config
    from downstream.evaluation.progress import Progress
    from mim_backbones.training.config import check_config
    from mim_backbones.training.launch import build_runner

    cfg = job_config(job, load_data_spec(job.data))
    check_config(cfg, job.options)
    digest = config_digest(cfg)
    progress = job.log_folder / PROGRESS
    cfg.custom_hooks = [
        *cfg.get('custom_hooks', []), {'type': 'downstream.ProgressFile', 'path': str(progress)}
    ]  # fmt: skip
    runner = build_runner(cfg)
    begun = time.monotonic()
    runner.train()
    trained = time.monotonic()
    task = find_task(job.task)
    evaluation = task.run(runner, Progress(progress))
    done = time.monotonic()
    seen = runner.iter * runner.train_dataloader.batch_size
    cost = {
        'seconds': done - started,
        'train_seconds': trained - begun,
        'eval_seconds': done - trained,
        'peak_memory_mib': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        'train_images_per_second': seen / (trained - begun),
    }
    if torch.cuda.is_available():
        cost['peak_gpu_memory_mib'] = torch.cuda.max_memory_allocated() / 2**20
    result = Result(
        name=job.name,
        checkpoint=job.checkpoint,
        method=job.method,
        architecture=architecture_name(job.backbone),
        task=job.task,
        protocol=job.protocol,
        metrics={key: float(value) for key, value in evaluation.metrics.items()},
        primary=task.primary(evaluation.metrics),
        seed=job.seed,
        cost={key: round(value, 3) for key, value in cost.items()},
        versions=installed_versions(),
        data=vars(job.card),
        config_sha256=digest,
        protocol_sha256=digest,
        backbone_sha256=digest,
    )
    return write_result(Path(job.out), result, evaluation.units, evaluation.pictures)


def installed_versions() -> dict[str, str]:
    """Versions of what computes the numbers."""
    versions = {'python': sys.version.split()[0]}
    for name in DISTRIBUTIONS:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


def failure_line(error: BaseException) -> str:
    """One line for people; the traceback goes to the log."""
    text = ' '.join(str(error).split()) or 'no message'
    return text if isinstance(error, UserError) else f'{type(error).__name__}: {text}'


def main() -> int:
    path = Path(sys.argv[1])
    try:
        run(Job.load(path))
    except Exception as error:
        # The boundary of the process: whatever went wrong here must not stop the other jobs.
        traceback.print_exc()
        (path.parent / FAILURE).write_text(failure_line(error))
        return 2 if isinstance(error, UserError) else 1
    return 0


if __name__ == '__main__':
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Interpreter shutdown of the whole stack takes a second that nothing needs.
    os._exit(code)
