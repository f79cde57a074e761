"""Memory of a call."""

import ctypes
from collections.abc import Callable
from pathlib import Path

import torch

STATUS, CLEAR = Path('/proc/self/status'), Path('/proc/self/clear_refs')
RESET_PEAK = '5'  # proc(5): writing 5 to clear_refs sets VmHWM back to VmRSS


def held_mib(device: str = 'cpu') -> float | None:
    """Memory held now, in MiB; None where the system does not tell.

    device: 'cpu' (what the process takes, told by Linux only) or 'cuda' (what torch allocates).
    """
    if device != 'cpu':
        return torch.cuda.memory_allocated() / 2**20
    try:
        # Memory that malloc keeps after a free would hide what the next call takes.
        ctypes.CDLL(None).malloc_trim(0)
        return _status_kib('VmRSS') / 1024
    except (OSError, AttributeError):  # another system, or no glibc
        return None


def peak_mib(
    call: Callable[[], object], device: str = 'cpu', held: float | None = None
) -> float | None:
    """Largest memory during `call` on top of `held`, in MiB; None where the system does not tell.

    held: an earlier `held_mib(device)`; what is held as the call begins if not given.
    """
    now = held_mib(device)
    before = now if held is None else held
    if now is None or before is None:
        return None
    if device != 'cpu':
        torch.cuda.reset_peak_memory_stats()
        call()
        return torch.cuda.max_memory_allocated() / 2**20 - before
    try:
        CLEAR.write_text(RESET_PEAK)
    except OSError:  # a sandbox without this file
        return None
    call()
    return max(_status_kib('VmHWM') / 1024 - before, 0)


def _status_kib(field: str) -> int:
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(field))
    return int(line.split()[1])
