"""A child of every root registry, so that recipes run with `default_scope = 'pretrain'`."""

import mmengine.registry as root
from mmengine.registry import Registry

SCOPE = 'pretrain'
MODULES = [
    'pretrain.data',
    'pretrain.preprocessor',
    'pretrain.sampler',
    'pretrain.hooks',
    'pretrain.maskers.random_patch',
    'pretrain.targets.pixel',
    'pretrain.heads.pixel_shuffle',
    'pretrain.methods.simmim',
]


def _child(parent: Registry) -> Registry:
    return Registry(parent.name, parent=parent, scope=SCOPE, locations=MODULES)


_children = {
    name: _child(parent) for name, parent in vars(root).items() if isinstance(parent, Registry)
}
MODELS = _children['MODELS']
DATASETS = _children['DATASETS']
DATA_SAMPLERS = _children['DATA_SAMPLERS']
TRANSFORMS = _children['TRANSFORMS']
HOOKS = _children['HOOKS']
