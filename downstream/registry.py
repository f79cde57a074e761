"""Child registries of mmengine's for what the downstream tasks add: `type='downstream.X'`."""

import mmengine.registry as root
from mmengine.registry import Registry

SCOPE = 'downstream'
MODULES = [
    'downstream.detection',
    'downstream.segmentation',
    'downstream.tracking',
]


def _child(name: str, parent: Registry) -> Registry:
    return Registry(name, parent=parent, scope=SCOPE, locations=MODULES)


MODELS = _child('model', root.MODELS)
DATASETS = _child('dataset', root.DATASETS)
TRANSFORMS = _child('transform', root.TRANSFORMS)
METRICS = _child('metric', root.METRICS)
HOOKS = _child('hook', root.HOOKS)
LOOPS = _child('loop', root.LOOPS)
DATA_SAMPLERS = _child('data sampler', root.DATA_SAMPLERS)
