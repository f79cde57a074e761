"""Per-unit statistics (a unit: one image or one sequence) from which a metric is recomputed.

A score such as mIoU or AP is no mean over images, so its uncertainty cannot be read from
per-image scores. Kept instead: what each unit adds to the sums behind the metric. The metric under
any integer weights, where weight w counts a unit as if it occurred w times in the data, then costs
a few matrix products; intervals (interval.py) need nothing but that.
"""

import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mim_backbones.console.atomic_file import write_atomically
from mim_backbones.errors import UserError

Array = NDArray
LARGEST = 2**30  # bytes; those of COCO's val set take a hundredth
# What a damaged archive ends in; its arrays may claim any size.
BROKEN = (
    OSError, ValueError, KeyError, EOFError, MemoryError, NotImplementedError, RuntimeError,
    SyntaxError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


class UnitScores(ABC):
    """Names of U units, and the metrics recomputable from them.

    A subclass sets `kind` (its tag in the file) and `metrics`, keeps its arrays and says how to
    score them. Metrics are in percent.
    """

    kind: ClassVar[str]
    metrics: tuple[str, ...]

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(str(name) for name in names)
        if not self.names:
            raise ValueError(f'{type(self).__name__}: no units; score at least one')
        if len(set(self.names)) != len(self.names):
            raise ValueError(f'{type(self).__name__}: unit names repeat; give each unit its own')

    def __len__(self) -> int:
        return len(self.names)

    @abstractmethod
    def score(self, weights: Array) -> dict[str, Array]:
        """weights (R, U) non-negative integers -> each metric (R,) float64 in percent.

        Entry r is the metric of the data set in which unit u occurs weights[r, u] times; nan where
        nothing is left to score.
        """

    @abstractmethod
    def arrays(self) -> dict[str, Array]:
        """What `from_arrays` needs besides the names."""

    @classmethod
    @abstractmethod
    def from_arrays(cls, names: Sequence[str], arrays: Mapping[str, Array]) -> 'UnitScores':
        """The inverse of `arrays`."""

    def observed(self) -> dict[str, float]:
        """The metrics on the data as they are (each unit once), in percent."""
        scores = self.score(np.ones((1, len(self)), np.int32))
        return {name: float(values[0]) for name, values in scores.items()}

    def save(self, path: Path) -> Path:
        """Writes a compressed .npz, atomically.

        Raises:
            UserError: the file cannot be written.
        """
        content = {'kind': np.array(self.kind), 'names': np.array(self.names), **self.arrays()}
        # numpy's stub reads an array named like its own keyword as that keyword
        return write_atomically(
            path,
            lambda stream: np.savez_compressed(stream, **content),  # type: ignore[arg-type]
        )

    @classmethod
    def load(cls, path: Path) -> 'UnitScores':
        """Reads what `save` wrote; `load_units` (result.py) chooses the class by the file's kind.

        Raises:
            UserError: the file is missing, broken, or of another kind.
        """
        kind, names, arrays = read_arrays(path)
        if kind != cls.kind:
            raise UserError(f'{path}: holds {kind} units, expected {cls.kind}')
        return cls.rebuild(path, names, arrays)

    @classmethod
    def rebuild(cls, path: Path, names: Sequence[str], arrays: Mapping[str, Array]) -> 'UnitScores':
        """`from_arrays` whose complaints name the file."""
        try:
            return cls.from_arrays(names, arrays)
        except (KeyError, ValueError) as error:
            raise UserError(f'{path}: not a units file ({error}); evaluate again') from error


def read_arrays(path: Path) -> tuple[str, tuple[str, ...], dict[str, Array]]:
    """A units file -> (kind, unit names, the other arrays)."""
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > LARGEST:
            raise UserError(f'{path}: unpacks to {size / 2**30:.1f} GiB, which are no unit scores')
        with np.load(path, allow_pickle=False) as content:
            arrays = {key: content[key] for key in content.files}
        return str(arrays.pop('kind')), tuple(arrays.pop('names').tolist()), arrays
    except FileNotFoundError as error:
        raise UserError(f'{path}: units file not found; copy it beside its result') from error
    except BROKEN as error:
        raise UserError(f'{path}: not a units file ({error}); evaluate again') from error


def check_weights(weights: Array, units: int) -> Array:
    """weights as an array (R, U); U must be the number of units."""
    weights = np.asarray(weights)
    if weights.ndim != 2 or weights.shape[1] != units:
        raise ValueError(f'weights are {weights.shape}, expected (resamples, {units})')
    return weights
