"""mmengine's own way to open checkpoints, led through the safe reader.

`load_from`, `--resume`, `init_cfg=dict(type='Pretrained')` of any module, `pretrained=`, calls of
mmdet and mmseg: all end in `CheckpointLoader.load_checkpoint`, which looks up a loader for the
path's scheme and calls `torch.load`; in some versions a file that is refused there is then run.
While a loader works, `torch.load` is the safe reader, whoever registered it and whatever it asks.

`install` only adds a finder; nothing happens until mmengine.runner.checkpoint is imported.
"""

import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType
from typing import Any

MODULE = 'mmengine.runner.checkpoint'


class CheckpointModuleLoader(SourceFileLoader):
    """Runs mmengine.runner.checkpoint, then leads its loader through the safe reader."""

    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        lead_through_safe_reader(module)


class CheckpointModuleFinder(MetaPathFinder):
    """Gives mmengine.runner.checkpoint the loader above."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != MODULE:
            return None
        spec = PathFinder.find_spec(fullname, path)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = CheckpointModuleLoader(fullname, spec.loader.path)
        return spec


def install() -> None:
    """Whether mmengine was imported before or is yet to come; a second call does nothing."""
    if any(isinstance(present, CheckpointModuleFinder) for present in sys.meta_path):
        return
    sys.meta_path.insert(0, CheckpointModuleFinder())
    if MODULE in sys.modules:
        lead_through_safe_reader(sys.modules[MODULE])


def lead_through_safe_reader(module: ModuleType) -> None:
    """Wrap the one function of mmengine.runner.checkpoint that every path goes through."""
    loader = module.CheckpointLoader
    unsafe = loader.load_checkpoint.__func__

    def load_checkpoint(
        cls: type, filename: str, map_location: Any = None, logger: Any = 'current'
    ) -> Any:
        """mmengine's, by the safe reader.

        Raises:
            CheckpointError: no such file, or what `read_weights_file` refuses.
        """
        from mim_backbones.checkpoints.safe.weights_file import CheckpointError

        try:
            with torch_loads_safely():
                return as_mmengine_wants(unsafe(cls, filename, map_location, logger))
        except FileNotFoundError as error:
            raise CheckpointError(
                f'checkpoint {filename} does not exist; give a file of weights'
            ) from error

    loader.load_checkpoint = classmethod(load_checkpoint)


@contextmanager
def torch_loads_safely() -> Iterator[None]:
    """Let `torch.load` be the safe reader."""
    import torch

    before = torch.load
    torch.load = safe_load  # type: ignore[assignment]
    try:
        yield
    finally:
        torch.load = before


def safe_load(file: Any, map_location: Any = None, *_: Any, **__: Any) -> dict[str, Any]:
    """`torch.load` of a path or a stream; whatever else it is told (weights_only=False) is ignored.

    Raises:
        CheckpointError: see `read_weights_file`.
    """
    from mim_backbones.checkpoints.safe.weights_file import read_weights_file

    if not hasattr(file, 'read'):
        return read_weights_file(file, device=map_location)
    with tempfile.NamedTemporaryFile(suffix='.pth') as copy:
        copy.write(file.read())
        copy.flush()
        return read_weights_file(copy.name, device=map_location)


def as_mmengine_wants(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """The content with log buffers that work again, without what `resume` would run.

    Raises:
        CheckpointError: the log buffers are none.
    """
    from mim_backbones.checkpoints.safe.inert import InertName, InertObject

    meta, hub = checkpoint.get('meta'), checkpoint.get('message_hub')
    if isinstance(meta, dict):
        meta.pop('config', None)  # Python, of mmcv 1: mmengine would run it to count GPUs
    if isinstance(hub, dict) and isinstance(hub.get('log_scalars'), dict):
        hub['log_scalars'] = {
            name: log_buffer(name, stored) if isinstance(stored, InertObject) else stored
            for name, stored in hub['log_scalars'].items()
        }
    stored = checkpoint.get('param_schedulers') or []
    groups = stored.values() if isinstance(stored, dict) else [stored]
    for state in (state for group in groups for state in group if isinstance(state, dict)):
        for name in [name for name, value in state.items() if isinstance(value, InertName)]:
            del state[name]  # a function: the schedule that is resumed has its own
    return checkpoint


def log_buffer(name: str, stored: Any) -> Any:
    """mmengine's buffer of what its stand-in holds."""
    from mmengine.logging import HistoryBuffer

    from mim_backbones.checkpoints.safe.weights_file import CheckpointError

    said = vars(stored)
    try:
        return HistoryBuffer(said['_log_history'], said['_count_history'], said['max_length'])
    except (AssertionError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f'checkpoint: its log of {name!r} is damaged') from error
