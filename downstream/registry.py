"""A child of every root registry for what the downstream tasks add: `type='downstream.X'`."""

import mmengine.registry as root
from mmengine.registry import Registry

SCOPE = 'downstream'
MODULES = ['downstream.detection', 'downstream.segmentation', 'downstream.tracking']


def _child(parent: Registry) -> Registry:
    return Registry(parent.name, parent=parent, scope=SCOPE, locations=MODULES)


_children = {
    name: _child(parent) for name, parent in vars(root).items() if isinstance(parent, Registry)
}
MODELS = _children['MODELS']
DATASETS = _children['DATASETS']
TRANSFORMS = _children['TRANSFORMS']
METRICS = _children['METRICS']
HOOKS = _children['HOOKS']
LOOPS = _children['LOOPS']
DATA_SAMPLERS = _children['DATA_SAMPLERS']
