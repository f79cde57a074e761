"""K colours that stand for the pixels of many photographs: weighted k-means in RGB.

Image-gpt fits its 512 colours so (Chen et al., ICML 2020, section 3.1). The result depends on the
pixels and the seed alone: not on the order of the pixels, and not on the number of threads, since
every sum is made in one order by one thread.
"""

from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from mim_backbones.errors import UserError

ENOUGH = 1e-4  # stop when a step takes less than this share off the squared error
LUMA = (0.299, 0.587, 0.114)


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
    """k-means++ and Lloyd's algorithm on the distinct colours, weighted by how often they occur.

    Args:
        pixels: (N, 3) uint8, RGB.
        colours: K.

    Raises:
        UserError: fewer than K distinct colours among the pixels.
    """
    points, weights = distinct_colours(pixels)
    if len(points) < colours:
        raise UserError(
            f'the pixels have {len(points)} distinct colours, fewer than the {colours} asked for; '
            'give more images or ask for fewer colours'
        )
    centres = spread_centres(points, weights, colours, np.random.default_rng(seed))
    before = np.inf
    for step in range(max_steps):  # noqa: B007  how far it came is reported
        distance, nearest = cKDTree(centres).query(points)
        error = float((weights * distance**2).sum() / weights.sum())
        if error >= (1 - ENOUGH) * before:
            break
        before = error
        centres = means(points, weights, distance, nearest, colours)
    order = np.argsort((centres * LUMA).sum(1), kind='stable')
    return Palette(centres[order], error**0.5, step)


def distinct_colours(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N, 3) uint8 -> colours (M, 3) in [0, 1], sorted, and how often each occurs (M,)."""
    codes = pixels.astype(np.int64) @ np.array([1 << 16, 1 << 8, 1])
    codes, counts = np.unique(codes, return_counts=True)
    points = np.stack([codes >> 16, codes >> 8 & 255, codes & 255], axis=1) / 255
    return points, counts.astype(np.float64)


def spread_centres(
    points: np.ndarray, weights: np.ndarray, count: int, rng: np.random.Generator
) -> np.ndarray:
    """k-means++: each next centre is drawn by its squared distance to those before."""
    chosen = np.empty((count, 3))
    share = weights.copy()
    nearest = np.full(len(points), np.inf)
    for i in range(count):
        total = share.cumsum()
        chosen[i] = points[np.searchsorted(total, rng.random() * total[-1], side='right')]
        nearest = np.minimum(nearest, ((points - chosen[i]) ** 2).sum(1))
        share = weights * nearest
    return chosen


def means(
    points: np.ndarray,
    weights: np.ndarray,
    distance: np.ndarray,
    nearest: np.ndarray,
    count: int,
) -> np.ndarray:
    """The mean of each centre's points; a centre without any moves to a point far from its own."""
    total = np.bincount(nearest, weights, count)
    sums = [np.bincount(nearest, weights * points[:, c], count) for c in range(3)]
    empty = np.flatnonzero(total == 0)
    centres = np.stack(sums, axis=1) / np.maximum(total, 1)[:, None]
    centres[empty] = points[np.argsort(-distance, kind='stable')[: len(empty)]]
    return centres
