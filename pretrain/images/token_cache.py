"""Token ids of a folder's images, made once: for trainings whose crop never changes.

The crop is the largest centred square, unflipped and in its own colours, so that the ids of one
pass of the tokenizer hold in every epoch; masks still change. A published recipe crops anew each
time and cannot use this; it trades augmentation for the tokenizer's share of a step.
"""

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mim_backbones.console.atomic_file import write_atomically
from mim_backbones.errors import UserError
from pretrain.images.decode import list_images, load_readable

UNREADABLE = -1  # in place of every id of an image that cannot be decoded


@dataclass(frozen=True)
class TokenCache:
    """Ids by image.

    Attributes:
        names: (N,) paths below the folder, sorted.
        ids: (N, h, w) int32.
        codes: size of the vocabulary.
        digest: (32,) uint8, fingerprint of the tokenizer.
        file: where they are written down.
    """

    names: np.ndarray
    ids: np.ndarray
    codes: int
    digest: np.ndarray
    file: str = ''

    def write(self, path: Path) -> None:
        """Raises UserError when the file cannot be written."""
        content = dict(names=self.names, ids=self.ids, codes=self.codes, digest=self.digest)
        write_atomically(path, lambda stream: np.savez(stream, **content))

    def of(self, files: list[str], root: str | Path) -> dict[str, np.ndarray]:
        """File -> its ids (h, w).

        Raises:
            UserError: files below `root` that are not among the names.
        """
        rows = dict(zip(self.names.tolist(), self.ids, strict=True))
        names = relative_names(files, root)
        unknown = [name for name in names if name not in rows]
        if unknown:
            raise UserError(
                f'token ids {self.file} lack {len(unknown)} of {len(names)} images, {unknown[0]} '
                f'first; write them again for {root}'
            )
        return {file: rows[name] for file, name in zip(files, names, strict=True)}


def read_token_cache(path: str | Path) -> TokenCache:
    """Raises UserError when the file is not there or no cache of ids."""
    if not Path(path).is_file():
        raise UserError(
            f'token ids {path} do not exist; `mimbench tokenize TOKENIZER IMAGES --out {path}` '
            'writes them'
        )
    try:
        with np.load(path, allow_pickle=False) as file:
            return TokenCache(
                file['names'], file['ids'], int(file['codes']), file['digest'], str(path)
            )
    except (OSError, KeyError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise UserError(f'token ids {path} cannot be read; write them again') from error


@torch.inference_mode()
def tokenize_images(
    tokens: Callable[[Tensor], Tensor],
    codes: int,
    digest: Tensor,
    root: str | Path,
    size: int,
    batch_size: int = 32,
    done: Callable[[int], None] = lambda count: None,
) -> TokenCache:
    """Ids of every image below a folder.

    Args:
        tokens: image (B, 3, S, S) in [0, 1] -> ids (B, h, w).
        codes, digest: see `TokenCache`.
        size: side in pixels of the tokenizer's view.
        done: called with the number of images after each batch.

    Raises:
        UserError: no images, none that can be decoded, or a size the tokenizer does not take.
    """
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    files = list_images(root)
    rows: dict[str, np.ndarray] = {}
    for start in range(0, len(files), batch_size):
        chosen = files[start : start + batch_size]
        views = load_readable(chosen, size, 'bicubic')
        if views:
            image = torch.stack([*views.values()]).to(device).float() / 255
            try:
                ids = tokens(image).to('cpu', torch.int32).numpy()
            except ValueError as error:
                raise UserError(f'the tokenizer cannot take {size} px: {error}') from error
            rows |= zip(views, ids, strict=True)
        done(len(chosen))
    if not rows:
        raise UserError(f'none of the {len(files)} images below {root} can be decoded')
    blank = np.full_like(next(iter(rows.values())), UNREADABLE)
    return TokenCache(
        names=np.array(relative_names(files, root)),
        ids=np.stack([rows.get(path, blank) for path in files]),
        codes=codes,
        digest=digest.numpy(),
    )


def relative_names(files: list[str], root: str | Path) -> list[str]:
    """Paths below the folder, the same on every machine."""
    return [Path(file).relative_to(root).as_posix() for file in files]
