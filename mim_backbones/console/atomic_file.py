"""Files that are either there and whole, or not there: written beside the target, then renamed."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from mim_backbones.errors import UserError

NEEDED = 2**20  # bytes; where there is less room, work would end in a file cut short


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
    except (OSError, RuntimeError) as error:
        # torch.save ends in an error of its own about the archive that was cut short.
        cause = error if isinstance(error, OSError) else error.__context__
        if not isinstance(cause, OSError):
            raise
        raise UserError(
            f'cannot write {path}: {cause.strerror}; free some space or choose another folder'
        ) from error
    finally:
        Path(name).unlink(missing_ok=True)
    return path


def write_bytes_atomically(path: Path, content: bytes) -> Path:
    """`write_atomically` of bytes that are at hand."""
    return write_atomically(path, lambda stream: stream.write(content))


def check_writable(folder: Path) -> None:
    """Asks, before any work is done, whether files can be made in `folder`. Nothing stays of it.

    Raises:
        UserError: no right to write, no space, or a file where a folder has to be.
    """
    folder = Path(folder).absolute()
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if not existing.is_dir():
        raise UserError(f'cannot write to {folder}: {existing} is a file; give another folder')
    try:
        with tempfile.TemporaryFile(dir=existing) as file:
            file.write(bytes(NEEDED))
            file.flush()
    except OSError as error:
        raise UserError(
            f'cannot write to {folder}: {error.strerror} ({existing}); give another folder'
        ) from error
