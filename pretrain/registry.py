"""A child of every root registry, so that recipes run with `default_scope = 'pretrain'`."""

from pathlib import Path
from pkgutil import iter_modules
from typing import Any

from mmengine.registry import Registry

from mim_backbones.registry import child_registries

SCOPE = 'pretrain'
HERE = Path(__file__).parent
# Rooms whose files register nothing.
UNREGISTERED = {'ablation', 'commands', 'diversity', 'inspect'}
# Any file of the other rooms is found by being there.
MODULES = [
    f'{SCOPE}.{room.name}.{module.name}'
    for room in iter_modules([str(HERE)])
    if room.ispkg and room.name not in UNREGISTERED
    for module in iter_modules([str(HERE / room.name)])
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
