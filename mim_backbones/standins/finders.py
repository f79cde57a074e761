"""The two import finders. They watch for one module name each and cost nothing until it comes."""

from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import spec_from_loader
from types import ModuleType

TORCHVISION_EXTENSION = 'torchvision.extension'
MMCV_EXT = 'mmcv._ext'


class TorchvisionExtensionLoader(SourceFileLoader):
    """Runs torchvision.extension; when it could not load its library, defines the operators.

    This is the one moment to do it: torchvision itself has just tried, and the modules that need
    the operators to exist are imported next.
    """

    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        supply_operators(module)


def supply_operators(extension: ModuleType) -> None:
    """Define torchvision's operators when its extension could not load them."""
    if not extension._has_ops():
        from mim_backbones.standins import torchvision_library

        torchvision_library.define()
        extension._has_ops = torchvision_library.is_defined  # type: ignore[attr-defined]


class TorchvisionFinder(MetaPathFinder):
    """Gives torchvision.extension the loader above."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != TORCHVISION_EXTENSION:
            return None
        spec = PathFinder.find_spec(fullname, path)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = TorchvisionExtensionLoader(fullname, spec.loader.path)
        return spec


class MmcvExtLoader(Loader):
    """Makes a module with mmcv's calling conventions out of `standins.mmcv_ext`."""

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        from mim_backbones.standins import mmcv_ext

        module.__doc__ = mmcv_ext.__doc__
        for name in mmcv_ext.SUPPLIED:
            setattr(module, name, getattr(mmcv_ext, name))
        module.__getattr__ = mmcv_ext.unsupported_op  # type: ignore[method-assign]


class MmcvExtFinder(MetaPathFinder):
    """Finds mmcv._ext only when no compiled one lies beside mmcv."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != MMCV_EXT or PathFinder.find_spec(fullname, path) is not None:
            return None
        return spec_from_loader(fullname, MmcvExtLoader(), origin='mim_backbones.standins')
