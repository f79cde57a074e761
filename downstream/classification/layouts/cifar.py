"""CIFAR-10 and CIFAR-100 as their authors give them: arrays of pixels in Python's pickle format.

    cifar-10-batches-py/{data_batch_1..5,test_batch,batches.meta}      root is this folder
    cifar-100-python/{train,test,meta}                                 fine labels

Read without running what a pickle asks for: nothing but numpy's arrays is rebuilt. Each picture is
handed on as an uncompressed PPM, so that whatever reads pictures reads these.
"""

from collections.abc import Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

from downstream.classification.layouts.listing import Listing
from downstream.evaluation.fingerprint import listing_digest
from mim_backbones.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIDE = 32  # pixels
HEAD = f'P6 {SIDE} {SIDE} 255\n'.encode()
TEN = {'train': tuple(f'data_batch_{number}' for number in range(1, 6)), 'val': ('test_batch',)}
HUNDRED = {'train': ('train',), 'val': ('test',)}


class Pixels:
    """The store: rows (N, 3072) uint8 of each file, channels first."""

    def __init__(self, rows: 'dict[str, NDArray]') -> None:
        self.rows = rows

    def read(self, name: str) -> bytes:
        file, _, number = name.partition('/')
        row = self.rows[file][int(number)]
        return HEAD + row.reshape(3, SIDE, SIDE).transpose(1, 2, 0).tobytes()


def read(root: Path, split: str) -> Listing:
    """The pictures in the order of the files.

    Raises:
        UserError: a file is missing, or none of CIFAR's.
    """
    ten = (root / 'batches.meta').is_file()
    files, key = (TEN, 'labels') if ten else (HUNDRED, 'fine_labels')
    meta = root / ('batches.meta' if ten else 'meta')
    words = _entry(meta, _content(meta), 'label_names' if ten else 'fine_label_names')
    pairs, rows = [], {}
    for file in files[split]:
        content = _content(root / file)
        labels = _entry(root / file, content, key)
        rows[file] = pixels = _entry(root / file, content, 'data')
        shape, kind = getattr(pixels, 'shape', ()), str(getattr(pixels, 'dtype', ''))
        if shape != (len(labels), 3 * SIDE**2) or kind != 'uint8':
            raise UserError(f'{root / file}: {len(labels)} labels and pixels {shape} of {kind}')
        if labels and max(labels) >= len(words):
            raise UserError(
                f'{root / file}: label {max(labels)}, {meta.name} names {len(words)} classes'
            )
        pairs += [(f'{file}/{number}', words[label]) for number, label in enumerate(labels)]
    return Listing(pairs, Pixels(rows))


def fingerprint(root: Path) -> str:
    """16 digits over the files."""
    ten = (root / 'batches.meta').is_file()
    files = (*TEN['train'], *TEN['val'], 'batches.meta') if ten else ('train', 'test', 'meta')
    return listing_digest([], [root / name for name in files])


def _content(path: Path) -> dict[str, Any]:
    from mim_backbones.checkpoints.safe.inert import read_plain_pickle

    try:
        found = read_plain_pickle(path, encoding='latin1')
    except FileNotFoundError as error:
        raise UserError(
            f'{path} is not there; unpack cifar-10-python.tar.gz or cifar-100-python.tar.gz, and '
            'give the folder in it as root'
        ) from error
    except (UnpicklingError, EOFError, ValueError, TypeError, IndexError, KeyError) as error:
        raise UserError(f"{path}: none of CIFAR's files ({error}); fetch it again") from error
    if not isinstance(found, dict):
        raise UserError(f"{path}: none of CIFAR's files; fetch it again")
    return found


def _entry(path: Path, content: dict[str, Any], key: str) -> Sequence:
    if key not in content:
        raise UserError(f"{path}: has no {key}; it is none of CIFAR's files")
    return content[key]
