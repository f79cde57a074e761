"""Files that take far more memory or time than their size: refused, with the reason.

What is looked for:

    before it is read   a compressed archive of zeros, arrays of any length that a call makes
    after               a few bytes seen as tensors of any shape (strides of 0), which the next copy
                        would fill in
"""

import zipfile
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mim_backbones.checkpoints.safe.inert import InertObject
from mim_backbones.checkpoints.safe.pickle_names import names_asked_for

# torch stores its archives as they are; who packs one again gains a few percent. Weights that are
# tied or averaged are seen two or three times.
PACKED, SHARED = 2, 8
SPARE = 64 * 2**20
# Makes as many zeros as it is told; torch's reader takes it, weights are never stored in it.
MAKES_ANY_LENGTH = 'builtins.bytearray'


def before(path: Path) -> str | None:
    """What is wrong with a file that has not been read, in words; None when nothing is."""
    size = path.stat().st_size
    if zipfile.is_zipfile(path):
        try:
            with zipfile.ZipFile(path) as archive:
                unpacked = sum(entry.file_size for entry in archive.infolist())
        except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError):
            return None  # damaged: the reader says so
        if unpacked > PACKED * size + SPARE:
            return f'unpacks to {mib(unpacked)} from {mib(size)}, which weights never do'
    if MAKES_ANY_LENGTH in names_asked_for(path):
        return f'asks for {MAKES_ANY_LENGTH}, which weights never need'
    return None


def after(path: Path, content: Any) -> str | None:
    """What is wrong with a file that was read as `content`; None when nothing is."""
    size = path.stat().st_size
    seen = logical_bytes(content)
    if seen > SHARED * size + SPARE:
        return f'claims {mib(seen)} of tensors in {mib(size)}'
    return None


def logical_bytes(content: Any) -> int:
    """Bytes of all tensors and arrays in nested data, were each stored by itself."""
    total, waiting, met = 0, [content], set()
    while waiting:
        value = waiting.pop()
        if isinstance(value, torch.Tensor):
            total += value.numel() * value.element_size()
        elif isinstance(value, np.ndarray):
            total += value.nbytes
        elif isinstance(value, dict | list | tuple | InertObject | Namespace):
            if id(value) in met:
                continue
            met.add(id(value))
            inner = vars(value) if isinstance(value, InertObject | Namespace) else value
            waiting.extend(inner.values() if isinstance(inner, dict) else inner)
    return total


def mib(size: int) -> str:
    return f'{size / 2**20:,.0f} MiB'
