"""Texture families: periodic grey patterns, every one with the same grey-value histogram.

Each function draws one variant of its family: `(rng, n) -> float (n, n)`, periodic in both axes.
`equalise` then replaces values by their rank, so that all textures have an exactly uniform
histogram: after any colour palette, first-order statistics say nothing about the family.
"""

from collections.abc import Callable

import numpy as np

Field = np.ndarray
TEXTURES: dict[str, Callable[[np.random.Generator, int], Field]] = {}


def texture(function: Callable) -> Callable:
    """Enter a family under its function's name."""
    TEXTURES[function.__name__] = function
    return function


def equalise(field: Field) -> Field:
    """float (n, n) -> uint8 (n, n), each of the 256 values equally often (ties by position)."""
    rank = np.empty(field.size, np.int64)
    rank[np.argsort(field, axis=None, kind='stable')] = np.arange(field.size)
    return (rank * 256 // field.size).astype(np.uint8).reshape(field.shape)


def spectral_noise(rng: np.random.Generator, amplitude: Field) -> Field:
    """White noise shaped by an amplitude (n, n) over FFT frequencies; unit variance, periodic."""
    n = len(amplitude)
    spectrum = np.fft.fft2(rng.standard_normal((n, n))) * amplitude
    field = np.fft.ifft2(spectrum).real
    return field / (field.std() + 1e-12)  # an all-zero amplitude must not divide by zero


def frequencies(n: int) -> tuple[Field, Field]:
    """(fy, fx), each (n, n): cycles per tile."""
    f = np.fft.fftfreq(n, 1 / n)
    fy, fx = np.meshgrid(f, f, indexing='ij')
    return fy, fx


def fractal_noise(rng: np.random.Generator, n: int, beta: float, lowest: float = 1) -> Field:
    """Noise whose amplitude falls as frequency^-beta from `lowest` cycles per tile upwards."""
    radius = np.hypot(*frequencies(n))
    return spectral_noise(
        rng, np.where(radius >= lowest, np.maximum(radius, 1) ** -beta, 0) * (radius < n / 4)
    )


def smooth_noise(rng: np.random.Generator, n: int, cutoff: float) -> Field:
    """Noise below about `cutoff` cycles per tile."""
    return spectral_noise(rng, np.exp(-((np.hypot(*frequencies(n)) / cutoff) ** 2)))


def grid(n: int) -> tuple[Field, Field]:
    """(v, u), each (n, n) in [0, 1)."""
    axis = np.arange(n) / n
    v, u = np.meshgrid(axis, axis, indexing='ij')
    return v, u


def cell_distances(
    rng: np.random.Generator, n: int, cells: int, jitter: float
) -> tuple[Field, Field]:
    """Distances, in cells, to the two nearest of cells^2 jittered points; periodic."""
    v, u = (axis * cells for axis in grid(n))
    points = 0.5 + rng.uniform(-jitter, jitter, (2, cells, cells))
    row, column = v.astype(int), u.astype(int)
    first, second = np.full((n, n), np.inf), np.full((n, n), np.inf)
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            py, px = points[:, (row + dy) % cells, (column + dx) % cells]
            distance = np.hypot(row + dy + py - v, column + dx + px - u)
            second = np.minimum(second, np.maximum(first, distance))
            first = np.minimum(first, distance)
    return first, second


@texture
def striped(rng: np.random.Generator, n: int) -> Field:
    """Wavering parallel bands."""
    _, u = grid(n)
    bend = smooth_noise(rng, n, 2.5) * rng.uniform(0.3, 1.0)
    return np.sin(2 * np.pi * u * rng.integers(6, 10) + bend)


@texture
def checked(rng: np.random.Generator, n: int) -> Field:
    """A slightly bent chessboard."""
    v, u = grid(n)
    count = rng.integers(3, 6)
    bends = [smooth_noise(rng, n, 2.0) * rng.uniform(0.1, 0.5) for _ in range(2)]
    return np.sin(2 * np.pi * u * count + bends[0]) * np.sin(2 * np.pi * v * count + bends[1])


@texture
def dotted(rng: np.random.Generator, n: int) -> Field:
    """Round spots on a jittered grid."""
    nearest, _ = cell_distances(rng, n, int(rng.integers(6, 10)), jitter=0.22)
    return -nearest


@texture
def marbled(rng: np.random.Generator, n: int) -> Field:
    """Veins: ridges of fractal noise."""
    return -np.abs(fractal_noise(rng, n, rng.uniform(1.5, 1.8), lowest=3))


@texture
def sand(rng: np.random.Generator, n: int) -> Field:
    """Fine grain on faint dunes."""
    return fractal_noise(rng, n, 0.5, lowest=8) + 0.8 * smooth_noise(rng, n, 4)


@texture
def grass(rng: np.random.Generator, n: int) -> Field:
    """Short upright blades."""
    fy, fx = frequencies(n)
    spread = rng.uniform(10, 16)
    blades = np.exp(-((fy / spread) ** 2)) * np.exp(-(((np.abs(fx) - 40) / 18) ** 2))
    return spectral_noise(rng, blades) + 0.5 * smooth_noise(rng, n, 5)


@texture
def water(rng: np.random.Generator, n: int) -> Field:
    """Flat waves of many lengths."""
    fy, fx = frequencies(n)
    crest = np.exp(-(((np.abs(fy) - rng.uniform(14, 20)) / 7) ** 2)) * np.exp(-((fx / 7) ** 2))
    return spectral_noise(rng, crest) + 0.35 * fractal_noise(rng, n, 1.2)


@texture
def stone(rng: np.random.Generator, n: int) -> Field:
    """Cobbles: bright inside, dark in the joints."""
    first, second = cell_distances(rng, n, int(rng.integers(7, 11)), jitter=0.45)
    return np.minimum(second - first, 0.5) + 0.10 * fractal_noise(rng, n, 1.0)


@texture
def brick(rng: np.random.Generator, n: int) -> Field:
    """Courses of bricks of different greys, with mortar."""
    v, u = grid(n)
    rows = 2 * int(rng.integers(4, 7))  # even, so that the offset courses close round the tile
    columns = rows // 2
    row = (v * rows).astype(int)
    along = u * columns + 0.5 * (row % 2)
    column = along.astype(int) % columns
    tone = rng.uniform(0.4, 1.0, (rows, columns))[row, column]
    edge = np.minimum(
        np.minimum(v * rows % 1, 1 - v * rows % 1), 2 * np.minimum(along % 1, 1 - along % 1)
    )
    return tone * np.clip(edge / 0.14, 0, 1) + 0.06 * fractal_noise(rng, n, 0.8)


@texture
def cloud(rng: np.random.Generator, n: int) -> Field:
    """Soft billows."""
    return fractal_noise(rng, n, rng.uniform(1.9, 2.3))
