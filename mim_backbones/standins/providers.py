"""Which implementation answers for each op, found without running one."""

from functools import cache
from importlib.machinery import PathFinder

OPS = ('nms', 'soft_nms', 'roi_align', 'sigmoid_focal_loss')
TORCHVISION_OPS = ('nms', 'roi_align')


def provider_of_each_op() -> dict[str, str]:
    """Op -> 'mmcv compiled', 'torchvision' or 'pytorch'."""
    if mmcv_compiled():
        return dict.fromkeys(OPS, 'mmcv compiled')
    found = dict.fromkeys(OPS, 'pytorch')
    if torchvision_compiled():
        found.update(dict.fromkeys(TORCHVISION_OPS, 'torchvision'))
    return found


def mmcv_compiled() -> bool:
    """Whether a compiled mmcv._ext lies beside mmcv. Imports nothing."""
    mmcv = PathFinder.find_spec('mmcv')
    if mmcv is None or mmcv.submodule_search_locations is None:
        return False
    return PathFinder.find_spec('mmcv._ext', list(mmcv.submodule_search_locations)) is not None


@cache
def torchvision_compiled() -> bool:
    """Whether torchvision's own compiled operators loaded. Imports torchvision."""
    import torchvision.extension

    from mim_backbones.standins import torchvision_library

    return torchvision.extension._has_ops() and not torchvision_library.is_defined()
