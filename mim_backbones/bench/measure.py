"""Time and peak memory of a call."""

import ctypes
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter

STATUS, CLEAR = Path('/proc/self/status'), Path('/proc/self/clear_refs')
RESET_PEAK = '5'  # proc(5): writing 5 to clear_refs sets VmHWM back to VmRSS


def seconds(call: Callable[[], object], repeats: int) -> float:
    """Median time over `repeats` calls."""
    taken = []
    for _ in range(repeats):
        begin = perf_counter()
        call()
        taken.append(perf_counter() - begin)
    return median(taken)


def peak_mib(call: Callable[[], object]) -> float | None:
    """Memory the process takes on top of what it holds, in MiB; None where Linux does not tell."""
    try:
        # Memory that malloc keeps after a free would hide what the call takes.
        ctypes.CDLL(None).malloc_trim(0)
        CLEAR.write_text(RESET_PEAK)
        before = _status_kib('VmRSS')
        call()
        return max(_status_kib('VmHWM') - before, 0) / 1024
    except (OSError, AttributeError):  # another system, or no glibc
        return None


def _status_kib(field: str) -> int:
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(field))
    return int(line.split()[1])
