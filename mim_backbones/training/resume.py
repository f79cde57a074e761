"""Let the Runner read back its own checkpoints with torch's safe loader.

mmengine 0.10.7 calls `torch.load` with its defaults, which since torch 2.6 refuse the log buffers
that mmengine itself stored. The classes are named here; `getattr`, which their pickles call, only
reaches the buffer's four statistics.
"""

from typing import Any

import torch
from mmengine.logging import HistoryBuffer

from mim_backbones.checkpoints.safe.inert import GETATTR_NAMES, numpy_globals

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
