"""Files that are either there and whole, or not there: written beside the target, then renamed.

The draft of FILE is `.FILE.RANDOM.part`. Its writer holds a lock on it, which ends with the process
however that ends: an unlocked draft is what a kill left, and the next run clears it away.
"""

import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from mim_backbones.errors import UserError

try:
    import fcntl
except ImportError:  # Windows: drafts of killed runs stay
    fcntl = None  # type: ignore[assignment]

DRAFT = '.part'
NEEDED = 2**20  # bytes; where there is less room, work would end in a file cut short


def write_atomically(path: Path, write: Callable[[BinaryIO], object], durable: bool = True) -> Path:
    """Lets `write` fill a temporary file in the folder of `path`, then renames it to `path`.

    Readers never see a half-written file; whatever goes wrong, the temporary file is removed.

    Args:
        durable: wait until bytes and name are on the disk, in this order, so that a loss of power
            leaves no empty file either.

    Raises:
        UserError: the folder or the file cannot be written (missing rights, no space left).
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = open_draft(path)
    except OSError as error:
        raise UserError(
            f'cannot write {path}: {error.strerror}; choose a folder you may write to'
        ) from error
    try:
        with draft:
            write(draft)
            draft.flush()
            if durable:
                os.fsync(draft.fileno())
            os.chmod(draft.name, 0o644)  # drafts are private; results are for everybody
            os.replace(draft.name, path)
        if durable:
            sync_names(path.parent)
    except (OSError, RuntimeError) as error:
        # torch.save ends in an error of its own about the archive that was cut short.
        cause = error if isinstance(error, OSError) else error.__context__
        if not isinstance(cause, OSError):
            raise
        raise UserError(
            f'cannot write {path}: {cause.strerror}; free some space or choose another folder'
        ) from error
    finally:
        Path(draft.name).unlink(missing_ok=True)
    return path


def write_bytes_atomically(path: Path, content: bytes) -> Path:
    """`write_atomically` of bytes that are at hand."""
    return write_atomically(path, lambda stream: stream.write(content))


def open_draft(path: Path) -> Any:
    """An empty file beside `path`, locked by this process: a tempfile that stays when closed."""
    while True:
        draft = tempfile.NamedTemporaryFile(  # noqa: SIM115  the caller closes it
            dir=path.parent, prefix=f'.{path.name}.', suffix=DRAFT, delete=False
        )
        lock(draft.fileno(), wait=True)
        if os.fstat(draft.fileno()).st_nlink:
            return draft
        draft.close()  # cleared away before it was locked


def clear_drafts(folder: Path) -> list[Path]:
    """Remove what killed writers left half-written in `folder`; drafts being written stay."""
    cleared = []
    for path in folder.glob(f'.*{DRAFT}'):
        with suppress(OSError), path.open('rb') as stream:  # gone meanwhile, or not ours
            if lock(stream.fileno(), wait=False):
                path.unlink()
                cleared.append(path)
    return cleared


def lock(handle: int, wait: bool, shared: bool = False) -> bool:
    """Whether this process has the lock of an open file now; False where there are no locks.

    shared: with others that share it, and with none that does not.
    """
    if fcntl is None:
        return False
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(handle, kind | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        return False
    return True


def sync_names(folder: Path) -> None:
    """Have the renames in `folder` on the disk, where the system syncs folders."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def nearest_existing(path: Path) -> Path:
    """The path, or the nearest above it that is there."""
    path = path.absolute()
    return next(one for one in (path, *path.parents) if one.exists())


def check_writable(folder: Path) -> None:
    """Asks, before any work is done, whether files can be made in `folder`. Nothing stays of it.

    What a killed run left half-written there is cleared away.

    Raises:
        UserError: no right to write, no space, or a file where a folder has to be.
    """
    folder = Path(folder).absolute()
    existing = nearest_existing(folder)
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
    clear_drafts(folder)
