"""A child of every root registry for what the downstream tasks add: `type='downstream.X'`."""

from mim_backbones.registry import child_registries

SCOPE = 'downstream'
MODULES = [
    'downstream.evaluation.rehearsal.few',
    'downstream.cached_dataset',
    'downstream.classification.views',
    'downstream.classification.pictures',
    'downstream.classification.mixing',
    'downstream.classification.model',
    'downstream.classification.distillation',
    'downstream.classification.shard_order',
    'downstream.classification.probe',
    'downstream.classification.reader',
    'downstream.classification.nearest',
    'downstream.classification.ridge',
    'downstream.classification.logistic',
    'downstream.classification.fixed_views',
    'downstream.classification.metric',
    'downstream.detection.cascade',
    'downstream.detection.metric',
    'downstream.detection.input.large_scale_jitter',
    'downstream.segmentation.label_file',
    'downstream.segmentation.metric',
    'downstream.segmentation.segmentor',
    'downstream.tracking.sequences',
    'downstream.tracking.pairs',
    'downstream.tracking.pair_order',
    'downstream.tracking.centre_tracker',
    'downstream.tracking.model',
    'downstream.tracking.two_branch',
    'downstream.tracking.elimination',
    'downstream.tracking.metric',
    'downstream.robustness.pipeline',
    'downstream.frozen.views',
]

_children = child_registries(SCOPE, MODULES)
MODELS = _children['MODELS']
DATASETS = _children['DATASETS']
TRANSFORMS = _children['TRANSFORMS']
METRICS = _children['METRICS']
HOOKS = _children['HOOKS']
OPTIM_WRAPPER_CONSTRUCTORS = _children['OPTIM_WRAPPER_CONSTRUCTORS']
LOOPS = _children['LOOPS']
DATA_SAMPLERS = _children['DATA_SAMPLERS']
