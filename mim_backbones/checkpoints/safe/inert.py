"""What weight files hold beside tensors, rebuilt as plain data: the allow-lists of the safe reader.

Foreign classes are never imported; each name is mapped to a stand-in without behaviour. Plain
pickles of numpy arrays (detectron2 releases its weights so, .pkl) have a list of their own.
"""

import io
import pickle
import secrets
from argparse import Namespace
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np

LONGEST_PATH = 4096  # of Linux


class InertObject:
    """Stands in for an object of another library (mmengine's HistoryBuffer): attributes only."""


class InertName(str):
    """Stands in for a function: what it was called."""


def inert_attribute(owner: Any, name: str) -> InertName:
    """Stands in for `getattr`, which mmengine's log buffers and a schedule of it call."""
    return InertName(f'{getattr(owner, "__name__", "?")}.{name}'[:LONGEST_PATH])


def inert_path(*parts: Any) -> str:
    """Stands in for pathlib's classes (output folders among argparse arguments): a text.

    A path made of paths could double with each call; a longer one than systems take is cut.
    """
    return '/'.join(part for part in parts if isinstance(part, str))[:LONGEST_PATH]


def inert_dict(*arguments: Any) -> dict:
    """Stands in for `defaultdict`: what it held, without a factory."""
    return {}


def inert_list(*arguments: Any) -> list:
    """Stands in for `list`: of a list or a tuple; a `bytearray` of any size would be filled in."""
    return [*arguments[0]] if arguments and type(arguments[0]) in (list, tuple) else []


GETATTR_NAMES = ('builtins.getattr', '__builtin__.getattr', 'getattr')
# Dict subclasses. torch fills in items of dict and OrderedDict only, so they become the latter.
DICT_NAMES = (
    'yacs.config.CfgNode',
    'fvcore.common.config.CfgNode',
    'detectron2.config.config.CfgNode',
    'mmengine.config.config.ConfigDict',
    'mmcv.utils.config.ConfigDict',
    'addict.addict.Dict',
    'easydict.EasyDict',
)
OBJECT_NAMES = (
    'mmengine.logging.history_buffer.HistoryBuffer',
    'mmengine.optim.scheduler.param_scheduler.OneCycleParamScheduler',
)
PATH_NAMES = (
    'pathlib.PosixPath',
    'pathlib.PurePosixPath',
    'pathlib.WindowsPath',
    'pathlib._local.PosixPath',
    'pathlib._local.WindowsPath',
)
NUMPY_SCALARS = (
    np.float64, np.float32, np.float16, np.int64, np.int32, np.int16, np.int8, np.uint8, np.bool_,
)  # fmt: skip


RECONSTRUCT, SCALAR = np.empty(0).__reduce__()[0], np.float64(0).__reduce__()[0]
NDARRAY = object()  # names the class; what is pickled never calls it
UNKNOWN = f'numpy.{secrets.token_hex(16)}'


def empty_array(kind: Any, shape: Any, dtype: Any) -> np.ndarray:
    """An array yet to be filled, as every pickled one begins; a larger one could be any size."""
    if kind is not NDARRAY or shape != (0,):
        raise pickle.UnpicklingError('an array that begins with a size')
    return RECONSTRUCT(np.ndarray, (0,), b'b')  # type: ignore[operator]


def numpy_globals() -> list[Any]:
    """What a pickle needs to rebuild numpy arrays and scalars, under numpy 1's and 2's names.

    Torch fills in what is of an allowed class, so the class of arrays is one, under a name that no
    file can ask for: called by its own, it would make an array of any size.
    """
    allowed: list[Any] = [np.dtype, *{type(np.dtype(kind)) for kind in NUMPY_SCALARS}]
    allowed += [(NDARRAY, 'numpy.ndarray'), (np.ndarray, UNKNOWN)]
    for module in ('numpy.core.multiarray', 'numpy._core.multiarray'):
        allowed += [(empty_array, f'{module}._reconstruct'), (SCALAR, f'{module}.scalar')]
    return allowed


def allowed_globals() -> list[Any]:
    """For `torch.serialization.safe_globals`: objects, or (object, 'name in the file')."""
    return [
        *numpy_globals(),
        Namespace,
        (inert_dict, 'collections.defaultdict'),
        *((kind, f'{module}.{name}') for module in ('builtins', '__builtin__')
          for name, kind in (('list', inert_list), ('dict', dict), ('int', int), ('slice', slice))),
        *((OrderedDict, name) for name in DICT_NAMES),
        *((InertObject, name) for name in OBJECT_NAMES),
        *((inert_attribute, name) for name in GETATTR_NAMES),
        *((inert_path, name) for name in PATH_NAMES),
    ]  # fmt: skip


def encode_latin1(text: str, encoding: str) -> bytes:
    """Stands in for `_codecs.encode`, by which protocol 2 stores bytes."""
    if encoding != 'latin1':
        raise pickle.UnpicklingError('GLOBAL _codecs.encode with another codec')
    return text.encode('latin1')


ALLOWED: dict[str, Any] = {
    'numpy.ndarray': NDARRAY,
    'numpy.dtype': np.dtype,
    'collections.OrderedDict': OrderedDict,
    '_codecs.encode': encode_latin1,
    **{f'numpy.{core}.multiarray._reconstruct': empty_array for core in ('core', '_core')},
    **{f'numpy.{core}.multiarray.scalar': SCALAR for core in ('core', '_core')},
}


class ArrayUnpickler(pickle._Unpickler):  # type: ignore[name-defined]
    """Looks up nothing but what numpy arrays need.

    The reader in Python: the one in C fills a table as long as the largest number a damaged file
    gives to what it keeps, up to 64 GiB.
    """

    # Without zeros of any length.
    dispatch = {
        code: load for code, load in pickle._Unpickler.dispatch.items()  # type: ignore[attr-defined]
        if code != pickle.BYTEARRAY8[0]
    }  # fmt: skip

    def find_class(self, module: str, name: str) -> Any:
        asked = f'{module}.{name}'
        if asked not in ALLOWED:
            raise pickle.UnpicklingError(f'GLOBAL {asked}')
        return ALLOWED[asked]


def read_plain_pickle(path: Path, encoding: str = 'ASCII') -> Any:
    """Raises pickle.UnpicklingError naming the global when the file asks for any other.

    Args:
        encoding: of texts that Python 2 wrote; 'latin1' where arrays are among them.
    """
    return ArrayUnpickler(io.BytesIO(path.read_bytes()), encoding=encoding).load()
