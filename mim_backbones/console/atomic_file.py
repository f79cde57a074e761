"""Files that are either there and whole, or not there: written beside the target, then renamed."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from mim_backbones.errors import UserError


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> Path:
    """Lets `write` fill a temporary file in the folder of `path`, then renames it to `path`.

    Readers never see a half-written file; whatever goes wrong, the temporary file is removed.

    Raises:
        UserError: the folder or the file cannot be written (missing rights, no space left).
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f'.{path.name}.')
    except OSError as error:
        raise UserError(
            f'cannot write {path}: {error.strerror}; choose a folder you may write to'
        ) from error
    try:
        with os.fdopen(handle, 'wb') as stream:
            write(stream)
        os.chmod(name, 0o644)  # mkstemp makes private files; results are for everybody
        os.replace(name, path)
    except OSError as error:
        raise UserError(
            f'cannot write {path}: {error.strerror}; free some space or choose another folder'
        ) from error
    finally:
        Path(name).unlink(missing_ok=True)
    return path


def write_bytes_atomically(path: Path, content: bytes) -> Path:
    """`write_atomically` of bytes that are at hand."""
    return write_atomically(path, lambda stream: stream.write(content))
