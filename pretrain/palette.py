"""Palettes: K colours, fitted to photographs by `mimbench palette` or brought along.

A palette file is one of

    .json   {"centres": [[r, g, b], ...]}, numbers in [0, 1]; what `mimbench palette` writes
    .npy    (K, 3), in [-1, 1] (as image-gpt's `kmeans_centers.npy`), in [0, 1] or in 0..255: with
            a negative number it is the first, with one above 1 the last
"""

import json
from pathlib import Path

import numpy as np

from mim_backbones.errors import UserError


def read_palette(path: str | Path) -> np.ndarray:
    """Colours (K, 3) float32, RGB in [0, 1].

    Raises:
        UserError: no such file, or none of the two forms.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(
            f'palette {path} does not exist; fit one: mimbench palette IMAGES --out {path}'
        )
    try:
        if path.suffix == '.npy':
            centres = unit_range(np.load(path, allow_pickle=False))
        else:
            centres = np.asarray(json.loads(path.read_text())['centres'], dtype=np.float64)
    except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
        raise UserError(
            f'palette {path} is no palette: {error}; it holds "centres" as JSON, or K x 3 as .npy'
        ) from error
    if centres.ndim != 2 or centres.shape[1] != 3 or len(centres) < 2:
        raise UserError(f'palette {path} has the shape {centres.shape}; K x 3 with K from 2 up')
    if not (np.isfinite(centres).all() and centres.min() >= 0 and centres.max() <= 1):
        raise UserError(f'palette {path} has colours outside of its range; see pretrain/palette.py')
    return centres.astype(np.float32)


def unit_range(centres: np.ndarray) -> np.ndarray:
    """Colours in one of the three usual ranges -> [0, 1]."""
    values = centres.astype(np.float64)
    if values.size and values.min() < 0:
        return (values + 1) / 2
    if centres.dtype.kind in 'iu' or (values.size and values.max() > 1):
        return values / 255
    return values
