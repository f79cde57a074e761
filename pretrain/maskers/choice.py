"""Which masker a user means: a short name with options, or the one of a recipe."""

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config, ConfigDict

from mim_backbones.errors import UserError
from mim_backbones.registry import MODELS as BACKBONES
from mim_backbones.training.config import read_config, value_at
from pretrain.registry import TRANSFORMS, build

SHORT_NAMES = {
    'random': 'RandomPatchMasker',
    'blockwise': 'BlockwiseMasker',
    'square': 'SquareMasker',
    'central': 'CentralMasker',
    'grid': 'GridMasker',
}


def masker_config(name: str, options: dict[str, Any]) -> dict[str, Any]:
    """The config of a masker by short name, or by the name it is registered under.

    Raises:
        UserError: there is no such masker.
    """
    kind = SHORT_NAMES.get(name, name)
    if TRANSFORMS.get(kind) is None:
        raise UserError(f'masker {name!r}: unknown; known are {", ".join(SHORT_NAMES)}')
    return {'type': kind, 'img_size': 224, 'patch_size': 16, **options}


def recipe_masker_config(path: str | Path, options: dict[str, Any]) -> dict[str, Any]:
    """The masker that a pre-training recipe uses on its backbone, some of its options replaced.

    Raises:
        UserError: no such file, no config, or one that masks nothing.
    """
    config = read_config(path)
    masker = value_at(config, 'train_dataloader.dataset.masker')
    if not isinstance(masker, ConfigDict) or 'type' not in masker:
        raise UserError(
            f'config {path} has no train_dataloader.dataset.masker; give a recipe of '
            'masked pre-training'
        )
    return {**on_backbone(masker, config), **options}


def on_backbone(masker: Mapping[str, Any], config: Config) -> dict[str, Any]:
    """The config of a recipe's masker with the sizes of the recipe's backbone."""
    backbone = value_at(config, 'model.backbone')
    if backbone is None:
        return dict(masker)
    with torch.device('meta'):  # its sizes are wanted, not its weights
        built = BACKBONES.build({**backbone, 'init_cfg': None})
    height, width = (cells * built.patch_size for cells in built.grid)
    size = height if height == width else (height, width)
    return {**masker, 'img_size': size, 'patch_size': built.mask_size}


def build_masker(config: dict[str, Any]) -> Any:
    """The masker of a config.

    Raises:
        UserError: an option that it does not take, lacks or refuses.
    """
    cls = TRANSFORMS.get(config['type'])
    if cls is None:
        raise UserError(f'masker {config["type"]!r} is registered nowhere')
    taken = inspect.signature(cls).parameters
    for option in config:
        if option != 'type' and option not in taken:
            raise UserError(f'{cls.__name__} takes no {option}; it takes {", ".join(taken)}')
    try:
        return build(TRANSFORMS, config)
    except (TypeError, ValueError) as error:
        # mmengine says first which class it was building; the maskers say so themselves.
        raise UserError(' '.join(str(error).rpartition('.py: ')[2].split())) from error
