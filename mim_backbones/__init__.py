"""MIM backbones for the OpenMMLab registries. Importing this is light: no torch, no mm* package.

It also installs two import stand-ins (see `mim_backbones.standins`), so that torchvision imports on
a CPU torch and mmcv.ops imports without compiled ops. Import it before torchvision, timm or mm*.
"""

from mim_backbones import standins

__version__ = '0.1.0.dev0'

standins.install()
