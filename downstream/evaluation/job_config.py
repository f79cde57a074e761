"""Job -> the whole mmengine config: recipe, fitted to data and checkpoint, and how a job runs."""

from mmengine.config import Config

from downstream.evaluation.job import Job
from downstream.task import find_task
from mim_backbones.data_spec import DataSpec, require
from mim_backbones.errors import UserError


def job_config(job: Job, spec: DataSpec) -> Config:
    """The config a job trains and evaluates with.

    Training keeps no checkpoint and does not validate on the way: the trained model is scored
    once, at the end. `job.options` come last and win.

    Raises:
        UserError: the data set does not fit the task, or the options do not fit the recipe.
    """
    cfg = Config.fromfile(job.recipe)
    find_task(job.task).fit(cfg, job, require(spec, job.task))
    cfg.work_dir = str(job.log_folder)
    cfg.randomness = {'seed': job.seed}
    for key in ('val_cfg', 'val_dataloader', 'val_evaluator'):
        cfg.pop(key, None)
    cfg.default_hooks.checkpoint = None
    cfg.visualizer = {'type': 'Visualizer', 'vis_backends': [{'type': 'LocalVisBackend'}]}
    try:
        cfg.merge_from_dict(job.options)
    except (TypeError, KeyError) as error:
        raise UserError(f'--cfg-options: {" ".join(str(error).split())}') from error
    return cfg
