"""MIM backbones for the OpenMMLab registries. Importing this is light: no torch, no mm* package.

It also installs two import stand-ins (see `mim_backbones.standins`), so that torchvision imports on
a CPU torch and mmcv.ops imports without compiled ops. Import it before torchvision, timm or mm*.
"""

from importlib import import_module
from typing import Any

from mim_backbones import standins

__version__ = '0.1.0.dev0'

standins.install()

PUBLIC = {
    'MIMViT': 'mim_backbones.backbones.vit',
    'MIMSwin': 'mim_backbones.backbones.swin',
    'MIMHiera': 'mim_backbones.backbones.hiera',
    'SimpleFeaturePyramid': 'mim_backbones.backbones.feature_pyramid',
    'from_checkpoint': 'mim_backbones.checkpoints.load',
    'load_pretrained': 'mim_backbones.checkpoints.load',
    'CheckpointError': 'mim_backbones.checkpoints.safe.weights_file',
    'LoadReport': 'mim_backbones.checkpoints.report',
}


def __getattr__(name: str) -> Any:
    """The public names, imported when first asked for."""
    if name in PUBLIC:
        return getattr(import_module(PUBLIC[name]), name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


def __dir__() -> list[str]:
    return sorted([*globals(), *PUBLIC])
