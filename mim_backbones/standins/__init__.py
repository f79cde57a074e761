"""Stand-ins that let the stack import and run where two compiled libraries are missing.

    torchvision   its wheel for CUDA does not load on a CPU torch: we define its operators, and the
                  ones detection needs (nms, roi_align) get PyTorch kernels
    mmcv._ext     mmcv installed without a compiler has none: we supply nms, softnms, roi_align and
                  sigmoid_focal_loss; every other op imports, and says what it needs when called

A compiled library that loads is always used instead. `install` only adds two finders to
`sys.meta_path`; nothing else happens until torchvision or mmcv.ops is imported.
"""

import sys

from mim_backbones.standins.finders import (
    TORCHVISION_EXTENSION,
    MmcvExtFinder,
    TorchvisionFinder,
    supply_operators,
)


def install() -> None:
    """Put both finders first on `sys.meta_path`; a second call does nothing.

    Where torchvision was imported before and failed (`import timm` does), its next import works.
    """
    for finder in (TorchvisionFinder, MmcvExtFinder):
        if not any(isinstance(present, finder) for present in sys.meta_path):
            sys.meta_path.insert(0, finder())
    if TORCHVISION_EXTENSION in sys.modules:
        supply_operators(sys.modules[TORCHVISION_EXTENSION])


def provider() -> dict[str, str]:
    """Who computes each op mmcv.ops needs: 'mmcv compiled', 'torchvision' or 'pytorch'.

    Imports torchvision, which takes about a second.
    """
    from mim_backbones.standins.providers import provider_of_each_op

    return provider_of_each_op()
