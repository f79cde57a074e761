"""Read a file of weights without running anything that is in it.

Files open with `weights_only=True` and a narrow allow-list: what official checkpoints and
mmengine's carry beside tensors. Foreign classes are rebuilt as inert data, never imported. A file
cannot take much more memory than its size (`bombs`).
"""

import json
import pickle
import re
import struct
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from mim_backbones.checkpoints.safe import bombs
from mim_backbones.checkpoints.safe.inert import allowed_globals, read_plain_pickle
from mim_backbones.checkpoints.safe.pickle_names import names_asked_for
from mim_backbones.errors import UserError


class CheckpointError(UserError):
    """A file that cannot be read as weights, or weights that do not cover the backbone.

    One line, whatever a damaged file calls its keys.
    """

    def __init__(self, message: str) -> None:
        super().__init__(''.join(c if c.isprintable() else '?' for c in message))


# Damaged bytes surface as any of these, from the archive reader or the unpickler.
UNREADABLE = (
    ArithmeticError, AssertionError, AttributeError, EOFError, ImportError, LookupError,
    MemoryError, OSError, RuntimeError, SystemError, TypeError, ValueError, struct.error,
)  # fmt: skip
# What torch's own reader knows; a name of these never is why it refused a newer protocol.
HARMLESS = (
    'torch._utils.',
    'torch.storage.',
    'torch.FloatStorage',
    'torch.Size',
    'collections.OrderedDict',
    '_codecs.encode',
)


def read_weights_file(path: str | Path, trust: bool = False, device: Any = 'cpu') -> dict[str, Any]:
    """Content of a .pth/.pt/.bin/.safetensors file, or of detectron2's .pkl.

    Args:
        trust: run whatever code a pickle asks for; only for files of your own.
        device: where its tensors go, torch's `map_location`.

    Raises:
        CheckpointError: the file is missing, empty, truncated, no weights file at all, unpacks to
            far more than its size, or asks for a global outside the allow-list (named in the
            message).
    """
    path = Path(path)
    if not path.is_file():
        kind = 'is a folder' if path.is_dir() else 'does not exist'
        raise CheckpointError(f'checkpoint {path} {kind}; give a file of weights')
    try:
        with path.open('rb') as file:
            head = file.read(512)
    except OSError as error:
        raise CheckpointError(f'checkpoint {path} cannot be read: {error.strerror}') from error
    if not head:
        raise CheckpointError(f'checkpoint {path} is empty (0 bytes); download or save it again')
    text = what_text(head)
    if text:
        raise CheckpointError(f'checkpoint {path} is {text}, not weights; download the file itself')
    if path.suffix == '.safetensors':
        return _read_safetensors(path, device)
    if not trust:
        refuse_bomb(path, bombs.before(path))
    content = _read_pickle(path, trust, device)
    if not trust:
        refuse_bomb(path, bombs.after(path, content))
    return content


def refuse_bomb(path: Path, why: str | None) -> None:
    if why is not None:
        raise CheckpointError(f'checkpoint {path} {why}; refused')


def what_text(head: bytes) -> str | None:
    """What a text that was saved in place of weights is; None for anything else."""
    start = head.lstrip()
    if start[:1] == b'<':
        return 'a web page (HTML)'
    if start.startswith(b'version https://git-lfs'):
        return 'a Git LFS pointer (run git lfs pull)'
    if start[:1] in (b'{', b'['):
        return 'a JSON text'
    return None


def _read_safetensors(path: Path, device: Any) -> dict[str, Any]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework='pt') as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            if isinstance(device, str | torch.device):
                tensors = {key: value.to(device) for key, value in tensors.items()}
            record = json.loads((file.metadata() or {}).get('mimbench', 'null'))
    except (SafetensorError, *UNREADABLE) as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(
            f'checkpoint {path} is no readable safetensors file: {why}'
        ) from error
    if isinstance(record, dict):  # what `mimbench convert` stores beside the weights
        return {'state_dict': tensors, 'meta': {'mimbench': record}}
    return tensors


def _read_pickle(path: Path, trust: bool, device: Any) -> dict[str, Any]:
    try:
        content = _unpickled(path, trust, device)
    except pickle.UnpicklingError as error:
        refused = refused_global(path, error)
        if refused and not trust:
            raise CheckpointError(
                f'checkpoint {path} asks to run {refused}, which weights never need; '
                'refused. If the file is your own, load it with trust=True'
            ) from error
        raise CheckpointError(f'checkpoint {path} is corrupt or truncated; get it again') from error
    except UNREADABLE as error:
        if 'TorchScript' in str(error):
            raise CheckpointError(
                f'checkpoint {path} is a TorchScript program; save its state_dict() instead'
            ) from error
        raise CheckpointError(f'checkpoint {path} is corrupt or truncated; get it again') from error
    if not isinstance(content, dict):
        raise CheckpointError(
            f'checkpoint {path} holds a {type(content).__name__}, not a dict of tensors'
        )
    return content


def _unpickled(path: Path, trust: bool, device: Any) -> Any:
    if path.suffix == '.pkl' and not trust and not zipfile.is_zipfile(path):
        return read_plain_pickle(path)
    with only_globals(allowed_globals()), warnings.catch_warnings():
        # What torch remarks on a foreign file (its pickle protocol, TorchScript, odd classes) ends
        # in an error of ours, which says more.
        warnings.simplefilter('ignore', UserWarning)
        # Not `torch.load`: while mmengine reads, that name leads here (safe/mmengine_loader.py).
        return torch.serialization.load(path, map_location=device, weights_only=not trust)


@contextmanager
def only_globals(allowed: list[Any]) -> Iterator[None]:
    """Torch's safe reader with exactly these names, whatever the process has named before.

    Another library may have named real classes; beside the inert ones torch would take either.
    """
    before = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals(allowed)
    try:
        yield
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(before)


def refused_global(path: Path, error: Exception) -> str | None:
    """The name that torch's reader would not look up; None when it stumbled over bytes.

    Newer pickle protocols end in an unknown opcode, without a name: then the pickle is listed.
    """
    said = re.search(r'(?:GLOBAL|[Gg]lobal:?) `?([\w.]+\.[\w.]+)`?', str(error))
    if said:
        return said.group(1)
    known = {entry[1] for entry in allowed_globals() if isinstance(entry, tuple)}
    known |= {
        f'{entry.__module__}.{entry.__name__}'
        for entry in allowed_globals()
        if not isinstance(entry, tuple)
    }
    asked = [n for n in names_asked_for(path) if n not in known and not n.startswith(HARMLESS)]
    return asked[0] if asked else None
