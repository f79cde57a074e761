"""Child registries of mmengine's: in an mm config, `type='mim_backbones.MIMViT'` imports them."""

from collections.abc import Sequence

import mmengine.registry as root
from mmengine.registry import HOOKS as ROOT_HOOKS
from mmengine.registry import LOOPS as ROOT_LOOPS
from mmengine.registry import MODEL_WRAPPERS as ROOT_MODEL_WRAPPERS
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS as ROOT_OPTIM_WRAPPER_CONSTRUCTORS
from mmengine.registry import OPTIM_WRAPPERS as ROOT_OPTIM_WRAPPERS
from mmengine.registry import OPTIMIZERS as ROOT_OPTIMIZERS
from mmengine.registry import PARAM_SCHEDULERS as ROOT_PARAM_SCHEDULERS
from mmengine.registry import WEIGHT_INITIALIZERS as ROOT_WEIGHT_INITIALIZERS
from mmengine.registry import Registry

SCOPE = 'mim_backbones'

MODELS = Registry(
    'model',
    parent=ROOT_MODELS,
    scope=SCOPE,
    locations=[
        'mim_backbones.backbones.vit',
        'mim_backbones.backbones.swin',
        'mim_backbones.backbones.hiera',
        'mim_backbones.backbones.feature_pyramid',
    ],
)
HOOKS = Registry(
    'hook',
    parent=ROOT_HOOKS,
    scope=SCOPE,
    locations=['mim_backbones.training.whole_checkpoints', 'mim_backbones.training.guard.hook'],
)
LOOPS = Registry(
    'loop',
    parent=ROOT_LOOPS,
    scope=SCOPE,
    locations=['mim_backbones.training.steps.loops'],
)
OPTIMIZERS = Registry(
    'optimizer',
    parent=ROOT_OPTIMIZERS,
    scope=SCOPE,
    locations=['mim_backbones.training.half_states', 'mim_backbones.training.lars'],
)
OPTIM_WRAPPERS = Registry(
    'optim_wrapper',
    parent=ROOT_OPTIM_WRAPPERS,
    scope=SCOPE,
    locations=['mim_backbones.training.precision'],
)
OPTIM_WRAPPER_CONSTRUCTORS = Registry(
    'optimizer wrapper constructor',
    parent=ROOT_OPTIM_WRAPPER_CONSTRUCTORS,
    scope=SCOPE,
    locations=['mim_backbones.training.layer_decay'],
)
PARAM_SCHEDULERS = Registry(
    'parameter scheduler',
    parent=ROOT_PARAM_SCHEDULERS,
    scope=SCOPE,
    locations=['mim_backbones.training.schedules'],
)
WEIGHT_INITIALIZERS = Registry(
    'weight initializer',
    parent=ROOT_WEIGHT_INITIALIZERS,
    scope=SCOPE,
    locations=['mim_backbones.checkpoints.load'],
)
MODEL_WRAPPERS = Registry(
    'model_wrapper',
    parent=ROOT_MODEL_WRAPPERS,
    scope=SCOPE,
    locations=['mim_backbones.training.distributed'],
)


def child_registries(scope: str, modules: Sequence[str]) -> dict[str, Registry]:
    """Name -> a child of each of mmengine's root registries, so that a package is a scope.

    modules: imported at the first look for a name, so that they register what they have.
    """
    return {
        name: Registry(parent.name, parent=parent, scope=scope, locations=list(modules))
        for name, parent in vars(root).items()
        if isinstance(parent, Registry)
    }
