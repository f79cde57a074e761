"""The Runner's own checkpoints: written beside their place and moved there, read back safely.

mmengine 0.10.7 calls `torch.load` with its defaults, which since torch 2.6 refuse the log buffers
that mmengine itself stored. The classes are named here; `getattr`, which their pickles call, only
reaches the buffer's four statistics.

`CheckpointHook(backend_args=dict(backend='atomic_local'))`: a run killed while saving leaves the
previous checkpoint whole.
"""

from pathlib import Path
from typing import Any

import torch
from mmengine.fileio import LocalBackend, register_backend
from mmengine.logging import HistoryBuffer

from mim_backbones.checkpoints.safe.inert import GETATTR_NAMES, numpy_globals
from mim_backbones.console.atomic_file import write_bytes_atomically

STATISTICS = ('min', 'max', 'current', 'mean')


def history_statistic(owner: Any, name: str) -> Any:
    """`HistoryBuffer.name` for the four statistics; nothing else is looked up."""
    if owner is HistoryBuffer and name in STATISTICS:
        return getattr(HistoryBuffer, name)
    raise ValueError(f'checkpoint asks for attribute {name} of {owner}')


def allow_own_checkpoints() -> None:
    """Name what mmengine stores beside tensors, for the rest of the process."""
    names = [(history_statistic, name) for name in GETATTR_NAMES]
    torch.serialization.add_safe_globals([HistoryBuffer, *names, *numpy_globals()])


@register_backend('atomic_local', force=True)
class AtomicLocalBackend(LocalBackend):
    """A file is there whole or as it was before."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        write_bytes_atomically(Path(filepath), obj)

    def put_text(self, obj: str, filepath: str | Path, encoding: str = 'utf-8') -> None:
        self.put(obj.encode(encoding), filepath)
