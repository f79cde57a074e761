"""Token ids of a folder's images, made once: for trainings whose crop never changes.

The crop is the largest centred square, unflipped and in its own colours, so that the ids of one
pass of the tokenizer hold in every epoch; masks still change. A published recipe crops anew each
time and cannot use this; it trades augmentation for the tokenizer's share of a step.
"""

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn as nn
from torch import Tensor

from mim_backbones.console.atomic_file import write_atomically
from mim_backbones.errors import UserError
from pretrain.images.dataset import UnlabelledImages, channels_first
from pretrain.images.decode import centre_crop, open_image, read_crop
from pretrain.registry import DATASETS, MODELS

UNREADABLE = -1  # in place of every id of an image that cannot be decoded


@dataclass(frozen=True)
class TokenCache:
    """Ids by image.

    Attributes:
        names: (N,) paths below the folder, sorted.
        ids: (N, h, w) int32.
        codes: size of the vocabulary.
        digest: (32,) uint8, fingerprint of the tokenizer.
    """

    names: np.ndarray
    ids: np.ndarray
    codes: int
    digest: np.ndarray

    def write(self, path: Path) -> None:
        """Raises UserError when the file cannot be written."""
        content = dict(names=self.names, ids=self.ids, codes=self.codes, digest=self.digest)
        write_atomically(path, lambda stream: np.savez(stream, **content))


def read_token_cache(path: str | Path) -> TokenCache:
    """Raises UserError when the file is not there or no cache of ids."""
    if not Path(path).is_file():
        raise UserError(
            f'token ids {path} do not exist; `mimbench tokenize TOKENIZER IMAGES --out {path}` '
            'writes them'
        )
    try:
        with np.load(path, allow_pickle=False) as file:
            return TokenCache(file['names'], file['ids'], int(file['codes']), file['digest'])
    except (OSError, KeyError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise UserError(f'token ids {path} cannot be read; write them again') from error


@MODELS.register_module()
class CachedTokens(nn.Module):
    """Stands where a tokenizer would: its vocabulary and fingerprint, without the network.

    Args:
        file: what `mimbench tokenize` wrote.

    Raises:
        UserError: see `read_token_cache`.
    """

    input_size = None

    def __init__(self, file: str) -> None:
        super().__init__()
        cache = read_token_cache(file)
        self.codes = cache.codes
        self.digest = torch.from_numpy(cache.digest.copy())

    def encode(self, image: Tensor) -> Tensor:
        raise UserError('CachedTokens has no network; use the dataset CachedTokenImages')


@DATASETS.register_module()
class CachedTokenImages(UnlabelledImages):
    """The centre of every image, a fresh mask, and `token_ids` (h, w) int64 from a file.

    Args:
        root, img_size, masker, interpolation: see `UnlabelledImages`.
        token_ids: what `mimbench tokenize` wrote for this folder.

    Raises:
        UserError: see `read_token_cache`; or images of the folder are not in the file.
    """

    def __init__(
        self,
        root: str,
        img_size: int,
        masker: dict[str, Any],
        token_ids: str,
        interpolation: str = 'bicubic',
    ) -> None:
        super().__init__(root, img_size, masker, interpolation=interpolation)
        cache = read_token_cache(token_ids)
        rows = {name: row for row, name in enumerate(cache.names.tolist())}
        names = relative_names(self.files, root)
        unknown = [name for name in names if name not in rows]
        if unknown:
            raise UserError(
                f'token ids {token_ids} lack {len(unknown)} of {len(names)} images, {unknown[0]} '
                f'first; write them again for {root}'
            )
        self.ids = cache.ids
        self.rows = {file: rows[name] for file, name in zip(self.files, names, strict=True)}

    def _views(self, path: str, rng: np.random.Generator) -> dict[str, np.ndarray]:
        ids = self.ids[self.rows[path]]
        if (ids == UNREADABLE).any():
            raise OSError('it could not be decoded when the ids were written')
        with open_image(path) as image:
            width, height = image.size
            box = centre_crop((height, width))
            pixels = read_crop(image, box, self.img_size, self.interpolation)
        return {'image': channels_first(pixels), 'token_ids': ids.astype(np.int64)}


def relative_names(files: list[str], root: str | Path) -> list[str]:
    """Paths below the folder, the same on every machine."""
    return [Path(file).relative_to(root).as_posix() for file in files]
