"""A teacher's features of a folder's images, made once: for trainings whose crop never changes.

    FOLDER/KEY.safetensors     features (images, rows, T) bf16; readable (images,) uint8

The crop is the largest centred square, unflipped and in its own colours, as for token ids; masks
still change. KEY stands for the teacher and how it is read, its view of the crop, and names and
sizes of the images: the first run that needs a file writes it before its first step, the others on
this machine wait for it; later epochs, runs and students map it into memory. A file appears whole
or not at all. An image replaced by one of the same name and size goes unnoticed.
"""

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from mmengine.logging import MMLogger
from torch import Tensor

from mim_backbones.console.atomic_file import clear_drafts, lock, write_atomically
from mim_backbones.console.display import QUIET_INTERVAL, clock
from mim_backbones.errors import UserError
from pretrain.images.decode import load_image
from pretrain.images.token_cache import relative_names

GIB = 2**30
BATCH = 32
DECODERS = 8  # threads; Pillow lets go of the interpreter while it decodes
SUFFIX = '.safetensors'


@dataclass(frozen=True)
class FeatureCache:
    """Where features of one teacher are, or will be.

    Attributes:
        folder: of the files.
        gib: what all files there may take together.
        digest: hexadecimal, of the teacher and how it is read.
        ask: images (B, 3, S, S) in [0, 1] -> their rows (B, rows, T).
        shape: (rows, T).
    """

    folder: str
    gib: float
    digest: str
    ask: Callable[[Tensor], Tensor]
    shape: tuple[int, int]

    def of(
        self, files: list[str], root: str | Path, size: int, interpolation: str, decode: str
    ) -> 'StoredFeatures':
        """What is on file of these images; written first where it is not.

        Args:
            size, interpolation, decode: of the teacher's view.

        Raises:
            UserError: too large for the budget or the disk, no right to write, a damaged file, or
                no image that can be decoded.
        """
        names = relative_names(files, root)
        sizes = [size_of(Path(file)) for file in files]
        about = [self.digest, size, interpolation, decode, names, sizes]
        key = hashlib.sha256(json.dumps(about).encode()).hexdigest()[:32]
        path = Path(self.folder) / f'{key}{SUFFIX}'
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with (path.parent / f'{key}.lock').open('a') as writing:
                lock(writing.fileno(), wait=True)
                if not path.is_file():
                    clear_drafts(path.parent)
                    self._write(
                        path, files, lambda file: readable(file, size, interpolation, decode)
                    )
        except OSError as error:
            raise UserError(
                f'cannot write features to {path.parent}: {error.strerror}; give another '
                'model.target.cache, or leave it out'
            ) from error
        return StoredFeatures(path, {file: row for row, file in enumerate(files)}, self.shape)

    def _write(self, path: Path, files: list[str], read: Callable[[str], Tensor | None]) -> None:
        self._check_room(path.parent, len(files))
        header = header_of(len(files), self.shape)
        write_atomically(path, lambda stream: self._stream(stream, header, files, read))

    def _check_room(self, folder: Path, images: int) -> None:
        """Raises UserError when so many images fit neither the budget nor the disk."""
        needed = images * (2 * self.shape[0] * self.shape[1] + 1)
        there = sum(file.stat().st_size for file in folder.glob(f'*{SUFFIX}'))
        if needed + there > self.gib * GIB:
            raise UserError(
                f'features of {images} images need {needed / GIB:.4g} GiB beside the '
                f'{there / GIB:.4g} GiB in {folder}, and model.target.cache_gib is {self.gib:g}; '
                'raise it, clear the folder, or leave model.target.cache out'
            )
        if needed > shutil.disk_usage(folder).free:
            raise UserError(
                f'features of {images} images need {needed / GIB:.4g} GiB, more than the disk of '
                f'{folder} has left; give another model.target.cache, or leave it out'
            )

    def _stream(
        self, stream: BinaryIO, header: bytes, files: list[str],
        read: Callable[[str], Tensor | None],
    ) -> None:  # fmt: skip
        device = 'cuda' if torch.cuda.is_available() else 'cpu'
        found, started, spoken = [], time.monotonic(), time.monotonic()
        stream.write(header)
        for views in decoded(files, read):
            rows = torch.zeros(len(views), *self.shape, dtype=torch.bfloat16)
            whole = [view is not None for view in views]
            if any(whole):
                image = torch.stack([view for view in views if view is not None]).to(device)
                rows[torch.tensor(whole)] = self.ask(image.float() / 255).to('cpu', rows.dtype)
            stream.write(rows.view(torch.int16).numpy().tobytes())
            found += whole
            if time.monotonic() - spoken > QUIET_INTERVAL:
                spoken = time.monotonic()
                left = (spoken - started) / len(found) * (len(files) - len(found))
                MMLogger.get_current_instance().info(
                    f'features of {len(found)} of {len(files)} images, {clock(left)} left'
                )
        if not any(found):
            raise UserError(f'none of the {len(files)} images can be decoded, first {files[0]}')
        stream.write(np.array(found, dtype=np.uint8).tobytes())


class StoredFeatures:
    """File -> its rows (rows, T) bf16, read when they are asked for.

    Raises:
        UserError: the file is damaged.
    """

    def __init__(self, path: Path, row_of: dict[str, int], shape: tuple[int, int]) -> None:
        self.path, self.row_of, self.shape = path, row_of, shape
        self.maps: tuple[np.ndarray, np.ndarray] | None = None
        header = header_of(len(row_of), shape)
        self.places = (len(header), len(header) + 2 * len(row_of) * shape[0] * shape[1])
        with path.open('rb') as stream:
            intact = stream.read(len(header)) == header
        if not intact or path.stat().st_size != self.places[1] + len(row_of):
            raise UserError(f'features {path} are damaged; delete that file, and it is made again')

    def __getitem__(self, file: str) -> Tensor:
        """Raises OSError for an image that could not be decoded when the features were made."""
        if self.maps is None:
            count = len(self.row_of)
            self.maps = (
                np.memmap(self.path, np.int16, 'r', self.places[0], (count, *self.shape)),
                np.memmap(self.path, np.uint8, 'r', self.places[1], (count,)),
            )
        row = self.row_of[file]
        if not self.maps[1][row]:
            raise OSError('it could not be decoded when the features were made')
        return torch.from_numpy(np.array(self.maps[0][row])).view(torch.bfloat16)

    def __getstate__(self) -> dict[str, Any]:
        """Without the maps, which a worker process opens for itself: pickled, they are copied."""
        return {**self.__dict__, 'maps': None}


def header_of(images: int, shape: tuple[int, int]) -> bytes:
    """What a safetensors file of such features begins with."""
    end = 2 * images * shape[0] * shape[1]
    content = {
        'features': {'dtype': 'BF16', 'shape': [images, *shape], 'data_offsets': [0, end]},
        'readable': {'dtype': 'U8', 'shape': [images], 'data_offsets': [end, end + images]},
    }
    text = json.dumps(content).encode()
    text += b' ' * (-len(text) % 8)
    return len(text).to_bytes(8, 'little') + text


def size_of(file: Path) -> int:
    """In bytes; -1 for a link to nothing, which no one can read."""
    return file.stat().st_size if file.exists() else -1


def decoded(
    files: list[str], read: Callable[[str], Tensor | None]
) -> Iterator[list[Tensor | None]]:
    """Batches of views in the order of the files, the next decoded while one is looked at."""
    batches = [files[start : start + BATCH] for start in range(0, len(files), BATCH)]
    with ThreadPoolExecutor(DECODERS) as pool:
        ahead = [pool.submit(read, file) for file in batches[0]]
        for batch in [*batches[1:], []]:
            now, ahead = ahead, [pool.submit(read, file) for file in batch]
            yield [view.result() for view in now]


def readable(file: str, size: int, interpolation: str, decode: str) -> Tensor | None:
    """The centre of a file as (3, S, S) uint8; None if it cannot be decoded."""
    try:
        return load_image(file, size, interpolation, decode)
    except UserError:
        return None
