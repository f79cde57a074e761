"""Plain pickles of numpy arrays, as detectron2 releases its weights (.pkl)."""

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np


def encode_latin1(text: str, encoding: str) -> bytes:
    """Stands in for `_codecs.encode`, by which protocol 2 stores bytes."""
    if encoding != 'latin1':
        raise pickle.UnpicklingError('GLOBAL _codecs.encode with another codec')
    return text.encode('latin1')


RECONSTRUCT, SCALAR = np.empty(0).__reduce__()[0], np.float64(0).__reduce__()[0]
ALLOWED: dict[str, Any] = {
    'numpy.ndarray': np.ndarray,
    'numpy.dtype': np.dtype,
    'collections.OrderedDict': OrderedDict,
    '_codecs.encode': encode_latin1,
    **{f'numpy.{core}.multiarray._reconstruct': RECONSTRUCT for core in ('core', '_core')},
    **{f'numpy.{core}.multiarray.scalar': SCALAR for core in ('core', '_core')},
}


class ArrayUnpickler(pickle.Unpickler):
    """Looks up nothing but what numpy arrays need."""

    def find_class(self, module: str, name: str) -> Any:
        asked = f'{module}.{name}'
        if asked not in ALLOWED:
            raise pickle.UnpicklingError(f'GLOBAL {asked}')
        return ALLOWED[asked]


def read_plain_pickle(path: Path) -> Any:
    """Raises pickle.UnpicklingError naming the global when the file asks for any other."""
    with path.open('rb') as file:
        return ArrayUnpickler(file).load()
