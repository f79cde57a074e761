"""What of a run cannot work, said before anything is built. Everything else builds or says why."""

import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mim_backbones.errors import UserError
from mim_backbones.training.config import require_keys, value_at
from mim_backbones.training.unread_keys import is_our_type

# Set by whatever starts the processes.
STARTED_BY = {
    'pytorch': ('RANK', 'torchrun; tools/dist_train.sh CONFIG GPUS starts it'),
    'slurm': ('SLURM_PROCID', 'srun; tools/slurm_train.sh starts it'),
    'mpi': ('OMPI_COMM_WORLD_LOCAL_RANK', 'mpirun'),
}
# Visualizer backend -> the package it writes with.
WRITERS = {
    'WandbVisBackend': 'wandb', 'ClearMLVisBackend': 'clearml', 'MLflowVisBackend': 'mlflow',
    'NeptuneVisBackend': 'neptune', 'DVCLiveVisBackend': 'dvclive', 'AimVisBackend': 'aim',
}  # fmt: skip
# Of mmdet and mmseg: they look at the name of the backbone's class for the depth of a weight.
LAYER_DECAY = ('LearningRateDecayOptimizerConstructor', 'LayerDecayOptimizerConstructor')
LEAST = {'batch_size': 1, 'num_workers': 0, 'max_epochs': 1, 'max_iters': 1, 'val_interval': 1}


def check_run(cfg: Config, what: str) -> None:
    """Check a config that is about to be run.

    Args:
        what: 'train' or 'test'.

    Raises:
        UserError: the first thing that cannot work.
    """
    needed = ['model', f'{what}_dataloader', f'{what}_cfg']
    needed += ['optim_wrapper'] if what == 'train' else ['test_evaluator']
    require_keys(cfg, f'recipe to {what} with', *needed)
    check_launcher(cfg.get('launcher', 'none'))
    check_counts(cfg, ('train', 'val') if what == 'train' else ('test',))
    check_writers(cfg)
    check_start(cfg)
    if what == 'train':
        check_layer_decay(cfg)
    for split in ('train', 'val') if what == 'train' else ('test',):
        check_folders(cfg, f'{split}_dataloader')


def check_launcher(launcher: str) -> None:
    variable, starter = STARTED_BY.get(launcher, ('', ''))
    if variable and variable not in os.environ:
        raise UserError(f'--launcher {launcher}: {variable} is not set, as it is under {starter}')


def check_counts(cfg: Config, splits: tuple[str, ...]) -> None:
    for split in splits:
        for section in (f'{split}_dataloader', f'{split}_cfg'):
            for key, least in LEAST.items():
                value = value_at(cfg, f'{section}.{key}')
                if value is not None and (not isinstance(value, int) or value < least):
                    raise UserError(f'{section}.{key}={value!r}: must be {least} or more')


def check_writers(cfg: Config) -> None:
    for backend in value_at(cfg, 'visualizer.vis_backends') or ():
        package = WRITERS.get(str(backend.get('type')))
        if package and find_spec(package) is None:
            raise UserError(
                f'visualizer: {backend["type"]} needs {package}, which is not installed; '
                f'pip install {package}, or take it out of visualizer.vis_backends'
            )


def check_start(cfg: Config) -> None:
    start = cfg.get('load_from')
    if isinstance(start, str) and '://' not in start and not Path(start).is_file():
        raise UserError(f'load_from={start!r}: no such file')


def check_layer_decay(cfg: Config) -> None:
    constructor = str(value_at(cfg, 'optim_wrapper.constructor')).rpartition('.')[2]
    kind = value_at(cfg, 'model.backbone.type')
    if constructor in LAYER_DECAY and is_our_type(kind):
        rate = stock_layer_decay(cfg.optim_wrapper)
        raise UserError(
            f'optim_wrapper.constructor={constructor!r} does not know {kind}; write optim_wrapper='
            "dict(constructor='mim_backbones.LayerDecayConstructor', "
            f'paramwise_cfg=dict(_delete_=True, layer_decay={rate}))'
        )


def stock_layer_decay(optim_wrapper: Mapping[str, Any]) -> float:
    """The factor that a constructor of `LAYER_DECAY` is given, under either of its names."""
    given = optim_wrapper.get('paramwise_cfg') or {}
    return given.get('decay_rate', given.get('layer_decay_rate', 0.75))


def check_folders(cfg: Config, section: str) -> None:
    """Raises UserError when a data set's `data_root` is a folder that is not there."""
    for dataset in datasets(value_at(cfg, f'{section}.dataset')):
        root = dataset.get('data_root')
        if isinstance(root, str) and root and '://' not in root and not Path(root).is_dir():
            raise UserError(
                f'{section}: the data are not there: no folder {root}; give --data DATA.yaml '
                f'(recipes of mimbench), or --cfg-options {section}.dataset.data_root=FOLDER'
            )


def datasets(node: Any) -> list[Mapping[str, Any]]:
    """The data sets that a chain of wrappers ends in."""
    if isinstance(node, list | tuple):
        return [one for each in node for one in datasets(each)]
    if not isinstance(node, Mapping):
        return []
    inner = node.get('dataset', node.get('datasets'))
    return datasets(inner) if inner is not None else [node]
