"""Freed memory stays with the process, so that a step on the CPU reuses that of the step before."""

import ctypes

# <malloc.h> of glibc.
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
NEVER = 2**31 - 1


def keep_freed_memory() -> bool:
    """Tell malloc to hand nothing back to the system; whether it listened (glibc does).

    By default glibc maps blocks above a few MB anew for each allocation and gives the top of the
    heap back: a training step of Swin-B then takes 100,000 page faults, which cost as much as its
    bf16 arithmetic. The process keeps what its largest step took; its peak does not grow.
    Where the system has put something right above the heap, nothing is gained.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # macOS, musl, Windows
        return False
    return bool(mallopt(M_TRIM_THRESHOLD, NEVER) and mallopt(M_MMAP_MAX, 0))
