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

from mmengine.config import Config, ConfigDict
from mmengine.runner import Runner

from downstream.evaluation.job import Identity, Job
from downstream.task import find_task
from mim_backbones.backbones.archs import HIERA, SWIN, VIT
from mim_backbones.data_spec import DataSpec, require
from mim_backbones.errors import UserError
from mim_backbones.registry import MODELS
from mim_backbones.training.config import merged, open_config
from mim_backbones.training.unread_keys import RUNNER_EXTRAS

# How a run behaves, not what it computes.
BEHAVIOUR = {
    'cfg', 'default_hooks', 'env_cfg', 'experiment_name', 'launcher', 'load_from', 'log_level',
    'log_processor', 'resume', 'visualizer', 'work_dir',
}  # fmt: skip
READ = {*inspect.signature(Runner.__init__).parameters, *RUNNER_EXTRAS, 'default_scope'}
# Places, seeds, loader workers and what is kept on disk, wherever they are.
LEFT_OUT = {
    'ann_file', 'cache_bytes', 'cache_folder', 'checkpoint', 'data_prefix', 'data_root',
    'list_file', 'num_workers', 'persistent_workers', 'pin_memory', 'prefetch_factor', 'root',
    'seed', 'test_list', 'train_list',
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
    recipe keeps no checkpoint; a long one resumes exactly from its last (draws.py).

    Raises:
        UserError: the data set does not fit the task, or the options do not fit the recipe.
    """
    return behaving(fitted(job, spec), job)


def behaving(cfg: Config, job: Job) -> Config:
    """A fitted config with what this job adds, in place: where it writes, what it keeps."""
    resumable = is_long(cfg, job.protocol.tier)
    cfg.work_dir = str(job.log_folder)
    cfg.randomness = {**cfg.get('randomness', {}), 'seed': job.seed}
    cfg.launcher = 'pytorch' if job.processes > 1 else 'none'
    cfg.resume = resumable
    if not (resumable or job.keep_checkpoints):
        cfg.default_hooks = {**cfg.get('default_hooks', {}), 'checkpoint': None}
    if 'seed' in cfg.train_dataloader.dataset:  # of a data set that draws by its own
        cfg.train_dataloader.dataset.seed = job.seed
    if resumable:
        cfg.custom_hooks = [*cfg.get('custom_hooks', []), {'type': 'downstream.SeededUpdates'}]
        sampler = cfg.train_dataloader.get('sampler', {})
        if sampler.get('type') == 'InfiniteSampler':
            sampler.type = 'downstream.SeededDraws'
            cfg.train_dataloader.dataset = ConfigDict(
                type='downstream.DrawnSamples', dataset=cfg.train_dataloader.dataset
            )
    if job.processes > 1 and not _scaled(cfg):
        whole = cfg.train_dataloader.batch_size
        if whole % job.processes:
            raise UserError(
                f'{job.protocol.name} trains on batches of {whole}, which {job.processes} '
                'processes cannot share; choose another --gpus-per-job'
            )
        cfg.train_dataloader.batch_size = whole // job.processes
    cfg.visualizer = {'type': 'Visualizer', 'vis_backends': [{'type': 'LocalVisBackend'}]}
    return cfg


def identity_of(job: Job, cfg: Config, protocol: tuple[str, dict[str, Any]]) -> Identity:
    """See the module.

    Args:
        cfg: of the job, fitted.
        protocol: what `protocol_of` says of its recipe.
    """
    content = computed(cfg, job.protocol.tier, job.card.root, job.processes)
    backbone = digest(weight_options(job.backbone))
    return Identity(digest(content), protocol[0], backbone, protocol[1])


def protocol_of(job: Job, spec: DataSpec) -> tuple[str, dict[str, Any]]:
    """Digest of the protocol that a job runs, whatever its checkpoint; what is changed in it."""
    own = _recipe(job.recipe).model.backbone.to_dict()
    reference = replace(job, backbone=own, checkpoint=None, seed=0)
    recipe = fitted(replace(reference, options={}), spec)
    # The processes that a recipe is written for: its batch is the one its rate was set for.
    batch = recipe.train_dataloader.get('batch_size', 1)
    meant = max(1, recipe.auto_scale_lr.base_batch_size // batch) if _scaled(recipe) else 1
    tier, root = job.protocol.tier, job.card.root
    standard = computed(recipe, tier, root, meant)
    run = fitted(reference, spec) if job.options else recipe
    found = computed(run, tier, root, job.processes)
    return digest([found, recipe.get('protocol')]), changes(standard, found)


def computed(cfg: Config, tier: str, root: str, processes: int) -> dict[str, Any]:
    """What of a config decides the numbers, wherever its data lie.

    Args:
        root: of the data; texts that start with it are places.
    """
    content = {key: value for key, value in plain(cfg).items() if key not in BEHAVIOUR}
    loader = content.get('train_dataloader', {})
    if 'batch_size' in loader and _scaled(cfg):
        loader['batch_size'] *= processes  # else the processes share it
    if is_long(cfg, tier):
        content['exact_resume'] = True  # which changes what is drawn
    return _cleaned(content, root)


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


def _scaled(cfg: Config) -> bool:
    """Whether the Runner fits the learning rate to the batch of all processes."""
    return bool(cfg.get('auto_scale_lr', {}).get('enable'))


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
