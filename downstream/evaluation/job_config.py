"""Job -> the whole mmengine config, and the digests that say what is run.

    recipe -> fitted to data and checkpoint -> the user's options -> how this job behaves

Left out of every digest: places, seeds, logging and hooks that only watch, loader workers.

    config     everything else
    protocol   the same with the recipe's own backbone in place of the checkpoint's: equal for all
               checkpoints that a recipe takes, so that only those results are compared
    backbone   the constructor's arguments that its weights belong to, defaults included: what a
               random start has in common with a checkpoint, on every task
"""

import copy
import hashlib
import inspect
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner

from downstream.evaluation.job import Identity, Job
from downstream.task import find_task
from mim_backbones.backbones.archs import HIERA, SWIN, VIT
from mim_backbones.data_spec import DataSpec, require
from mim_backbones.errors import UserError
from mim_backbones.registry import MODELS
from mim_backbones.training.config import merged, open_config
from mim_backbones.training.steps.batch import StepBatch, step_batch
from mim_backbones.training.unread_keys import RUNNER_EXTRAS

# How a run behaves, not what it computes.
BEHAVIOUR = {
    'cfg', 'default_hooks', 'env_cfg', 'experiment_name', 'launcher', 'load_from', 'log_level',
    'log_processor', 'resume', 'visualizer', 'work_dir',
}  # fmt: skip
READ = {*inspect.signature(Runner.__init__).parameters, *RUNNER_EXTRAS, 'default_scope'}
# Places, seeds, loader workers and what is kept on disk or in memory, wherever they are.
LEFT_OUT = {
    'ann_file', 'cache_bytes', 'cache_folder', 'checkpoint', 'class_names', 'data_prefix',
    'data_root', 'list_file', 'memory_bytes', 'num_workers', 'persistent_workers', 'pin_memory',
    'prefetch_factor', 'root', 'seed', 'test_list', 'train_list',
}  # fmt: skip
# What `mimbench eval` decides itself, and how to say it.
OURS = {
    'launcher': '--gpus-per-job', 'load_from': 'CKPT', 'randomness.seed': '--seed',
    'resume': 'the same command again', 'work_dir': '--out',
}  # fmt: skip
# Options of a backbone that no weight depends on, or that only pre-training has.
OF_A_TASK = {
    'img_size', 'out_indices', 'drop_path_rate', 'init_cfg', 'mask_token', 'final_norm', 'fc_norm',
    'frozen_stages', 'with_cp', 'global_blocks',
}  # fmt: skip
ARCHS: dict[str, Mapping[str, Any]] = {'MIMViT': VIT, 'MIMSwin': SWIN, 'MIMHiera': HIERA}


def job_config(job: Job, spec: DataSpec) -> Config:
    """The config a job trains and evaluates with.

    Training does not validate on the way: the trained model is scored once, at the end. A short
    recipe keeps no checkpoint; a long one resumes exactly from its last.

    Raises:
        UserError: the data set does not fit the task, or the options do not fit the recipe.
    """
    return behaving(fitted(job, spec), job)


def behaving(cfg: Config, job: Job) -> Config:
    """A fitted config with what this job adds, in place: where it writes, what it keeps."""
    resumable = is_long(cfg, job.protocol.tier)
    # Scoring under corruption may take longer than training: it goes on from the trained weights.
    scored_long = job.conditions is not None
    cfg.work_dir = str(job.log_folder)
    cfg.randomness = {**cfg.get('randomness', {}), 'seed': job.seed}
    cfg.launcher = 'pytorch' if job.processes > 1 else 'none'
    cfg.resume = resumable or scored_long
    if not (resumable or scored_long or job.keep_checkpoints):
        cfg.default_hooks = {**cfg.get('default_hooks', {}), 'checkpoint': None}
    # A recipe that names no published batch has it from its batch of one process.
    cfg.auto_scale_lr = published_batch(cfg)
    batch_of(cfg, job.processes)  # refused before anything is run
    if 'seed' in cfg.train_dataloader.dataset:  # of a data set that draws by its own
        cfg.train_dataloader.dataset.seed = job.seed
    cfg.visualizer = {'type': 'Visualizer', 'vis_backends': [{'type': 'LocalVisBackend'}]}
    return cfg


def identity_of(job: Job, cfg: Config, protocol: tuple[str, dict[str, Any]]) -> Identity:
    """See the module.

    Args:
        cfg: of the job, fitted.
        protocol: what `protocol_of` says of its recipe.
    """
    content = computed(cfg, job.card.root, job.processes)
    backbone = digest(weight_options(job.backbone))
    return Identity(digest(content), protocol[0], backbone, protocol[1])


def protocol_of(job: Job, spec: DataSpec) -> tuple[str, dict[str, Any]]:
    """Digest of the protocol that a job runs, whatever its checkpoint; what is changed in it."""
    own = _recipe(job.recipe).model.backbone.to_dict()
    reference = replace(job, backbone=own, checkpoint=None, seed=0)
    recipe = fitted(replace(reference, options={}), spec)
    root = job.card.root
    standard = computed(recipe, root, None)
    run = fitted(reference, spec) if job.options else recipe
    found = computed(run, root, job.processes)
    return digest([found, recipe.get('protocol')]), changes(standard, found)


def computed(cfg: Config, root: str, processes: int | None) -> dict[str, Any]:
    """What of a config decides the numbers, wherever its data lie.

    Args:
        root: of the data; texts that start with it are places.
        processes: that train; None for the batch as published.
    """
    content = {key: value for key, value in plain(cfg).items() if key not in BEHAVIOUR}
    declared = content.pop('auto_scale_lr', None) or {}
    loader = content.get('train_dataloader', {})
    if 'batch_size' in loader and processes is not None:
        batch = batch_of(cfg, processes)
        loader['batch_size'] = batch.of_iteration
        if batch.rate != 1:
            content['auto_scale_lr'] = declared
    elif 'batch_size' in loader:
        loader['batch_size'] = published_batch(cfg)['base_batch_size'] // _accumulated(cfg)
    content['exact_resume'] = True  # which decides what is drawn
    return _cleaned(content, root)


def batch_of(cfg: Config, processes: int) -> StepBatch:
    """The batch of a step.

    Raises:
        UserError: so many processes cannot share it.
    """
    size = cfg.get('train_dataloader', {}).get('batch_size', 1)
    return step_batch(size, published_batch(cfg), processes, _accumulated(cfg))


def published_batch(cfg: Config) -> dict[str, Any]:
    """`auto_scale_lr` of a recipe; one that names no batch means its own, in one process."""
    size = cfg.get('train_dataloader', {}).get('batch_size', 1)
    return {'base_batch_size': size * _accumulated(cfg), **(cfg.get('auto_scale_lr') or {})}


def _accumulated(cfg: Config) -> int:
    return cfg.get('optim_wrapper', {}).get('accumulative_counts', 1)


def plain(cfg: Config) -> dict[str, Any]:
    """A config as plain values, without its recipe's helper variables."""
    return {key: value for key, value in cfg.to_dict().items() if key in READ}


def is_long(cfg: Config, tier: str) -> bool:
    """Whether a job keeps checkpoints to go on from: any but a smoke recipe that saves its end."""
    saving = cfg.get('default_hooks', {}).get('checkpoint') or {}
    by_epoch = 'max_epochs' in cfg.train_cfg
    length = cfg.train_cfg.get('max_epochs' if by_epoch else 'max_iters', 0)
    often = saving.get('by_epoch', True) == by_epoch and 0 < saving.get('interval', -1) < length
    return tier != 'smoke' or often


def whole_options(backbone: Mapping[str, Any]) -> dict[str, Any]:
    """Constructor arguments with defaults filled in and sizes spelled out, without the weights."""
    options = {key: value for key, value in backbone.items() if key != 'init_cfg'}
    cls = MODELS.get(str(options.get('type', 'MIMViT')))
    if cls is not None:
        parameters = inspect.signature(cls.__init__).parameters.values()
        defaults = {
            p.name: p.default
            for p in parameters
            if p.default is not p.empty and p.name != 'init_cfg'
        }
        options = {**defaults, **options, 'type': cls.__name__}
        if isinstance(options.get('arch'), str):
            options['arch'] = ARCHS.get(cls.__name__, {}).get(options['arch'], options['arch'])
    return json.loads(json.dumps(options, default=str))


def weight_options(backbone: Mapping[str, Any]) -> dict[str, Any]:
    """What of a backbone's options weights belong to, and no protocol decides."""
    return {key: v for key, v in whole_options(backbone).items() if key not in OF_A_TASK}


def digest(content: Any) -> str:
    """SHA-256 of plain values; the order of keys does not count."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def changes(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """Dotted key -> new value of whatever differs; None for what is gone."""
    old, new = dict(_leaves(before, '')), dict(_leaves(after, ''))
    keys = dict.fromkeys((*new, *old))
    return {key: new.get(key) for key in keys if key not in new or old.get(key, ...) != new[key]}


def fitted(job: Job, spec: DataSpec) -> Config:
    """The recipe with data, checkpoint and the user's options in it.

    Raises:
        UserError: the data set does not fit the task, or the options do not fit the recipe.
    """
    cfg = copy.deepcopy(_recipe(job.recipe))
    find_task(job.task).fit(cfg, job, require(spec, job.task))
    for key in job.options:
        ours = next((word for word in OURS if key == word or key.startswith(f'{word}.')), None)
        if ours is not None:
            raise UserError(f'--cfg-options {key}: mimbench eval sets it; use {OURS[ours]}')
    merged(cfg, job.options)
    for key in ('val_cfg', 'val_dataloader', 'val_evaluator'):
        cfg.pop(key, None)
    return cfg


@cache
def _recipe(path: str) -> Config:
    return open_config(path)


def _cleaned(node: Any, root: str) -> Any:
    if isinstance(node, Mapping):
        return {
            str(key): _cleaned(value, root)
            for key, value in node.items()
            if key not in LEFT_OUT and not (isinstance(value, str) and value.startswith(root))
        }
    return [_cleaned(value, root) for value in node] if isinstance(node, list | tuple) else node


def _leaves(node: Any, path: str) -> Iterator[tuple[str, Any]]:
    pairs = node.items() if isinstance(node, dict) else enumerate(node) if _nested(node) else ()
    if not pairs:
        yield path, node
    for key, value in pairs:
        yield from _leaves(value, f'{path}.{key}' if path else str(key))


def _nested(node: Any) -> bool:
    """A list of dicts or lists; one of scalars is a value."""
    return isinstance(node, list) and any(isinstance(value, dict | list) for value in node)
