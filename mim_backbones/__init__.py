"""MIM backbones for the OpenMMLab registries. Importing this is light: no torch, no mm* package.

It also installs two import stand-ins (see `mim_backbones.standins`), so that torchvision imports on
a CPU torch and mmcv.ops imports without compiled ops: import it before torchvision, timm or mm*.
From then on mmengine opens checkpoints without running what is in them (`checkpoints.safe`).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mim_backbones import standins
from mim_backbones.checkpoints.safe import mmengine_loader
from mim_backbones.errors import UserError

if TYPE_CHECKING:
    from mim_backbones.backbones.feature_pyramid import BlockPyramid, SimpleFeaturePyramid
    from mim_backbones.backbones.hiera import MIMHiera
    from mim_backbones.backbones.swin import MIMSwin
    from mim_backbones.backbones.vit import MIMViT
    from mim_backbones.checkpoints.export.file import save_backbone
    from mim_backbones.checkpoints.load import from_checkpoint, load_pretrained
    from mim_backbones.checkpoints.report import LoadReport
    from mim_backbones.checkpoints.safe.weights_file import CheckpointError
    from mim_backbones.training.layer_decay import parameter_groups

__version__ = '0.1.0.dev0'
__all__ = [
    'BlockPyramid',
    'CheckpointError',
    'LoadReport',
    'MIMHiera',
    'MIMSwin',
    'MIMViT',
    'SimpleFeaturePyramid',
    'UserError',
    'from_checkpoint',
    'load_pretrained',
    'parameter_groups',
    'save_backbone',
]

standins.install()
mmengine_loader.install()

LAZY = {
    'MIMViT': 'mim_backbones.backbones.vit',
    'MIMSwin': 'mim_backbones.backbones.swin',
    'MIMHiera': 'mim_backbones.backbones.hiera',
    'SimpleFeaturePyramid': 'mim_backbones.backbones.feature_pyramid',
    'BlockPyramid': 'mim_backbones.backbones.feature_pyramid',
    'from_checkpoint': 'mim_backbones.checkpoints.load',
    'load_pretrained': 'mim_backbones.checkpoints.load',
    'save_backbone': 'mim_backbones.checkpoints.export.file',
    'CheckpointError': 'mim_backbones.checkpoints.safe.weights_file',
    'LoadReport': 'mim_backbones.checkpoints.report',
    'parameter_groups': 'mim_backbones.training.layer_decay',
}


def __getattr__(name: str) -> Any:
    """The public names, imported when first asked for."""
    if name in LAZY:
        return getattr(import_module(LAZY[name]), name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
