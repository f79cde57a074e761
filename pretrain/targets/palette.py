"""Palettes: K colours, fitted to photographs by `mimbench palette` or brought along.

A palette file is one of

    .json   {"centres": [[r, g, b], ...]}, numbers in [0, 1]; what `mimbench palette` writes
    .npy    (K, 3), in [-1, 1] (as image-gpt's `kmeans_centers.npy`), in [0, 1] or in 0..255: with
            a number clearly below 0 it is the first, with one clearly above 1 the last

Image-gpt fits its 512 colours by k-means in RGB (Chen et al., ICML 2020, section 3.1). The result
depends on the pixels and the seed alone: not on the order of the pixels, nor on the threads.
"""

import json
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mim_backbones.errors import UserError
from pretrain.images.decode import load_readable

# What rounding leaves beside a range: -1e-17 is a black, no sign of a file in [-1, 1].
TOLERANCE = 1e-3
ENOUGH = 5e-4  # stop when a round takes less than this share off the squared error
ROUND = 5  # steps between two looks at the error, which cost one each
LUMA = (0.299, 0.587, 0.114)


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


class Palette(NamedTuple):
    """Attributes:
    centres: (K, 3) float64 in [0, 1], dark to light.
    rms: root of the mean squared distance of a pixel to its colour, in units of [0, 1].
    steps: of Lloyd's algorithm.
    """

    centres: np.ndarray
    rms: float
    steps: int


def fit_palette(pixels: np.ndarray, colours: int, seed: int = 0, max_steps: int = 100) -> Palette:
    """k-means++ and Lloyd's algorithm (scipy's).

    Args:
        pixels: (N, 3) uint8, RGB.
        colours: K.

    Raises:
        UserError: fewer than K distinct colours among the pixels.
    """
    from scipy.cluster.vq import kmeans2, vq  # no training needs it

    points = pixels[np.lexsort(pixels.T)] / 255  # the order they came in is nothing
    distinct = len(np.unique(pixels, axis=0))
    if distinct < colours:
        raise UserError(
            f'the pixels have {distinct} distinct colours, fewer than the {colours} asked for; '
            'give more images or ask for fewer colours'
        )
    centres = spread_centres(points, colours, np.random.default_rng(seed))
    error = np.inf
    for step in range(0, max_steps, ROUND):  # noqa: B007  how far it came is reported
        before, error = error, float((vq(points, centres)[1] ** 2).mean())
        if error >= (1 - ENOUGH) * before:
            break
        with warnings.catch_warnings():  # a centre that is nearest to nothing stays where it is
            warnings.simplefilter('ignore', UserWarning)
            centres, _ = kmeans2(points, centres, iter=ROUND, minit='matrix')
    order = np.argsort((centres * LUMA).sum(1), kind='stable')
    return Palette(centres[order], error**0.5, step)


def spread_centres(points: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """k-means++: each next centre is drawn by its squared distance to those before.

    Not scipy's, whose time and memory grow with the square of `count`.
    """
    chosen = np.empty((count, 3))
    nearest = np.ones(len(points))
    for i in range(count):
        total = nearest.cumsum()
        chosen[i] = points[np.searchsorted(total, rng.random() * total[-1], side='right')]
        distance = ((points - chosen[i]) ** 2).sum(1)
        nearest = np.minimum(nearest, distance) if i else distance
    return chosen


def draw_pixels(
    files: Iterable[str], per_image: int, img_size: int, seed: int
) -> tuple[np.ndarray, list[str]]:
    """`per_image` pixels of the centre of each image, and the files that cannot be decoded.

    An image's pixels depend on the seed and its place among the files alone.

    Returns:
        (N, 3) uint8 RGB; names.

    Raises:
        UserError: none of the files can be decoded.
    """
    drawn: list[np.ndarray] = []
    skipped: list[str] = []
    for place, path in enumerate(files):
        found = load_readable([path], img_size)
        if not found:
            skipped.append(path)
            continue
        pixels = found[path].numpy().reshape(3, -1).T
        count = min(per_image, len(pixels))
        chosen = np.random.default_rng((seed, place)).choice(len(pixels), count, replace=False)
        drawn.append(pixels[chosen])
    if not drawn:
        raise UserError(
            f'none of the {len(skipped)} images can be decoded, the first is {skipped[0]}'
        )
    return np.concatenate(drawn), skipped
