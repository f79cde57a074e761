"""Palettes: K colours, fitted to photographs by `mimbench palette` or brought along.

A palette file is one of

    .json   {"centres": [[r, g, b], ...]}, numbers in [0, 1]; what `mimbench palette` writes
    .npy    (K, 3), in [-1, 1] (as image-gpt's `kmeans_centers.npy`), in [0, 1] or in 0..255: with
            a number clearly below 0 it is the first, with one clearly above 1 the last
"""

import json
from pathlib import Path

import numpy as np

from mim_backbones.errors import UserError

# What rounding leaves beside a range: -1e-17 is a black, no sign of a file in [-1, 1].
TOLERANCE = 1e-3


def read_palette(path: str | Path) -> np.ndarray:
    """Colours (K, 3) float32, RGB in [0, 1].

    Raises:
        UserError: no such file, none of the two forms, numbers that are no colours, or a colour
            that stands in it twice.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(
            f'palette {path} does not exist; fit one: mimbench palette IMAGES --out {path}'
        )
    try:
        stored = read_array(path) if path.suffix == '.npy' else read_json(path)
    except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
        raise UserError(
            f'palette {path} is no palette: {error}; it holds "centres" as JSON, or K x 3 as .npy'
        ) from error
    if stored.ndim != 2 or stored.shape[1] != 3 or len(stored) < 2:
        raise UserError(f'palette {path} has the shape {stored.shape}; K x 3 with K from 2 up')
    if stored.dtype.kind not in 'iuf':
        raise UserError(f'palette {path} holds {stored.dtype}; colours are real numbers')
    centres = unit_range(stored) if path.suffix == '.npy' else stored.astype(np.float64)
    inside = (centres >= -TOLERANCE) & (centres <= 1 + TOLERANCE)  # NaN is not
    if not inside.all():
        raise UserError(f'palette {path} has colours outside of its range; see pretrain/palette.py')
    colours = centres.clip(0, 1).astype(np.float32)
    _, first, counts = np.unique(colours, axis=0, return_index=True, return_counts=True)
    if counts.max() > 1:
        # The later of two equals is never the nearest: a class that nothing belongs to.
        twice = first[counts > 1].min()
        raise UserError(
            f'palette {path} has the colour {colours[twice].tolist()} (row {twice}) more than '
            'once; leave one of each'
        )
    return colours


def read_array(path: Path) -> np.ndarray:
    """What a .npy file holds; not by np.load, which opens a renamed .npz too."""
    with path.open('rb') as stream:
        return np.lib.format.read_array(stream, allow_pickle=False)


def read_json(path: Path) -> np.ndarray:
    return np.asarray(json.loads(path.read_text())['centres'])


def unit_range(centres: np.ndarray) -> np.ndarray:
    """Colours in one of the three usual ranges -> [0, 1]."""
    values = centres.astype(np.float64)
    if values.min() < -TOLERANCE:
        return (values + 1) / 2
    if centres.dtype.kind in 'iu' or values.max() > 1 + TOLERANCE:
        return values / 255
    return values
