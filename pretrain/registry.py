"""A child of every root registry, so that recipes run with `default_scope = 'pretrain'`."""

from typing import Any

from mmengine.registry import Registry

from mim_backbones.registry import child_registries

SCOPE = 'pretrain'
MODULES = [
    'pretrain.images.dataset',
    'pretrain.images.preprocessor',
    'pretrain.images.sampler',
    'pretrain.hooks.guard',
    'pretrain.hooks.reconstruction_pictures',
    'pretrain.maskers.random_patch',
    'pretrain.maskers.blockwise',
    'pretrain.maskers.square',
    'pretrain.maskers.lattice',
    'pretrain.targets.pixels',
    'pretrain.targets.normalised',
    'pretrain.targets.colours',
    'pretrain.targets.colour_clusters',
    'pretrain.targets.token',
    'pretrain.tokenizers.dalle',
    'pretrain.heads.pixel_shuffle',
    'pretrain.heads.mlp',
    'pretrain.heads.inverse_swin',
    'pretrain.methods.simmim',
    'pretrain.methods.vqkd',
    'pretrain.tokenizers.vqkd',
    'pretrain.tokenizers.trained',
    'pretrain.tokenizers.beitv2',
    'pretrain.hooks.codebook_health',
    'pretrain.teachers.clip',
    'pretrain.teachers.backbone',
    'pretrain.teachers.timm_model',
    'pretrain.methods.beit',
    'pretrain.methods.beitv2',
    'pretrain.images.views',
    'pretrain.images.token_cache',
]

_children = child_registries(SCOPE, MODULES)
MODELS = _children['MODELS']
DATASETS = _children['DATASETS']
DATA_SAMPLERS = _children['DATA_SAMPLERS']
TRANSFORMS = _children['TRANSFORMS']
HOOKS = _children['HOOKS']


def build(registry: Registry, config: dict[str, Any]) -> Any:
    """The object of a config whose unprefixed names are this package's.

    A process that trained something else before, or a command, has another default scope: there
    `registry.build` would look for the names in that scope's registry and not in this one.
    """
    return registry.build({'_scope_': SCOPE, **config})
