"""Read a file of weights without running anything that is in it.

Files open with `weights_only=True` and a narrow allow-list: what official checkpoints and
mmengine's carry beside tensors. Foreign classes are rebuilt as inert data, never imported.
"""

import pickle
import re
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mim_backbones.errors import UserError


class CheckpointError(UserError):
    """A file that cannot be read as weights, or weights that do not cover the backbone."""


class InertDict(dict):
    """Stands in for a dict subclass of another library (yacs' CfgNode): keys and values only."""


class InertObject:
    """Stands in for an object of another library (mmengine's HistoryBuffer): attributes only."""


def inert_attribute(owner: Any, name: str) -> str:
    """Stands in for `getattr`, which mmengine's pickled log buffers call: a name, no access."""
    return f'{getattr(owner, "__name__", "?")}.{name}'


GETATTR_NAMES = ('builtins.getattr', '__builtin__.getattr', 'getattr')
NUMPY_SCALARS = (np.float64, np.float32, np.float16, np.int64, np.int32, np.bool_)


def numpy_globals() -> list[Any]:
    """What a pickle needs to rebuild numpy arrays and scalars, under numpy 1's and 2's names."""
    reconstruct = np.empty(0).__reduce__()[0]
    scalar = np.float64(0).__reduce__()[0]
    allowed: list[Any] = [np.ndarray, np.dtype, *{type(np.dtype(kind)) for kind in NUMPY_SCALARS}]
    for module in ('numpy.core.multiarray', 'numpy._core.multiarray'):
        allowed += [(reconstruct, f'{module}._reconstruct'), (scalar, f'{module}.scalar')]
    return allowed


def _allowed_globals() -> list[Any]:
    return [
        *numpy_globals(),
        Namespace,
        (InertDict, 'yacs.config.CfgNode'),
        (InertObject, 'mmengine.logging.history_buffer.HistoryBuffer'),
        *((inert_attribute, name) for name in GETATTR_NAMES),
    ]


def read_weights_file(path: str | Path, trust: bool = False) -> dict[str, Any]:
    """Content of a .pth/.pt/.bin/.safetensors file, tensors on the CPU.

    Args:
        trust: run whatever code a pickle asks for; only for files of your own.

    Raises:
        CheckpointError: the file is missing, empty, truncated, no weights file at all, or asks
            for a global outside the allow-list (named in the message).
    """
    path = Path(path)
    if not path.is_file():
        kind = 'is a folder' if path.is_dir() else 'does not exist'
        raise CheckpointError(f'checkpoint {path} {kind}; give a file of weights')
    with path.open('rb') as file:
        head = file.read(512)
    if not head:
        raise CheckpointError(f'checkpoint {path} is empty (0 bytes); download or save it again')
    if head.lstrip()[:1] == b'<':
        raise CheckpointError(
            f'checkpoint {path} is a web page (HTML), not weights; download the file itself'
        )
    if path.suffix == '.safetensors':
        return _read_safetensors(path)
    return _read_pickle(path, trust)


def _read_safetensors(path: Path) -> dict[str, Any]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return dict(load_file(path))
    except SafetensorError as error:
        raise CheckpointError(
            f'checkpoint {path} is no readable safetensors file: {error}'
        ) from error


def _read_pickle(path: Path, trust: bool) -> dict[str, Any]:
    try:
        with torch.serialization.safe_globals(_allowed_globals()):
            content = torch.load(path, map_location='cpu', weights_only=not trust)
    except pickle.UnpicklingError as error:
        refused = re.search(r'(?:GLOBAL|global:?|Global) `?([\w.]+\.[\w.]+)`?', str(error))
        if refused:
            raise CheckpointError(
                f'checkpoint {path} asks to run {refused.group(1)}, which weights never need; '
                'refused. If the file is your own, load it with trust=True'
            ) from error
        raise CheckpointError(f'checkpoint {path} is corrupt or truncated; get it again') from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, IndexError, TypeError,
            AttributeError, AssertionError, UnicodeDecodeError) as error:  # fmt: skip
        # Damaged bytes surface as any of these, from the archive reader or the unpickler.
        raise CheckpointError(f'checkpoint {path} is corrupt or truncated; get it again') from error
    if not isinstance(content, dict):
        raise CheckpointError(
            f'checkpoint {path} holds a {type(content).__name__}, not a dict of tensors'
        )
    return content
