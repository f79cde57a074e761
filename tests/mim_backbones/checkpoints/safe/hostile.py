"""Weight files that try to run code, and the doors a file can come in by."""

import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

FORMS = ('zip', 'old', *(f'protocol {n}' for n in range(pickle.HIGHEST_PROTOCOL + 1)))


class Hostile:
    """Pickles as a call that makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> Any:
        return os.mkdir, (self.path,)


def zipped(path: Path, data: bytes) -> None:
    """A torch archive whose pickle is `data`."""
    torch.save({}, path)
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, 'w') as archive:
        for name, content in entries.items():
            archive.writestr(name, data if name.endswith('data.pkl') else content)


def write_hostile(path: Path, form: str, made: Path) -> Path:
    """A training state whose `meta` makes the folder `made` when it is unpickled as told."""
    content = {'state_dict': {}, 'meta': {'epoch': 1, 'iter': 5, 'x': Hostile(made)},
               'message_hub': {}}  # fmt: skip
    if form in ('zip', 'old'):
        torch.save(content, path, _use_new_zipfile_serialization=form == 'zip')
    else:
        zipped(path, pickle.dumps(content, int(form.split()[1])))
    return path
