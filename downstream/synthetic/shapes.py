"""Shape families: `rng -> contours`, each (N, 2), scaled into the unit disc.

Every family varies in proportions and number of parts, so that a template does not match.
"""

from collections.abc import Callable

import numpy as np

Contours = tuple[np.ndarray, ...]
SHAPES: dict[str, Callable[[np.random.Generator], Contours]] = {}


def shape(function: Callable) -> Callable:
    """Enter a family under its function's name."""
    SHAPES[function.__name__] = function
    return function


def draw_shape(family: str, rng: np.random.Generator) -> Contours:
    """The contours of one object: centred on the outline's middle, farthest point at 1."""
    outer, *inner = SHAPES[family](rng)
    middle = (outer.min(axis=0) + outer.max(axis=0)) / 2
    reach = np.sqrt(((outer - middle) ** 2).sum(axis=1).max())
    return tuple((contour - middle) / reach for contour in (outer, *inner))


def polar(radius: np.ndarray) -> np.ndarray:
    """Radii at equal angles (N,) -> points (N, 2)."""
    angle = np.arange(len(radius)) * (2 * np.pi / len(radius))
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


@shape
def star(rng: np.random.Generator) -> Contours:
    """Five to seven pointed arms."""
    arms = int(rng.integers(5, 8))
    radius = np.empty(2 * arms)
    radius[::2] = rng.uniform(0.85, 1.0, arms)
    radius[1::2] = rng.uniform(0.38, 0.55) * rng.uniform(0.92, 1.08, arms)
    return (polar(radius),)


@shape
def flower(rng: np.random.Generator) -> Contours:
    """Four to six round petals with sharp valleys."""
    petals = int(rng.integers(4, 7))
    angle = np.linspace(0, 2 * np.pi, 12 * petals, endpoint=False)
    depth = rng.uniform(0.35, 0.5)
    lobes = np.repeat(rng.uniform(0.88, 1.0, petals), 12)
    bulge = np.abs(np.sin(angle * petals / 2)) ** 0.7
    return (polar((1 - depth + depth * bulge) * (1 + (lobes - 1) * bulge)),)


@shape
def ring(rng: np.random.Generator) -> Contours:
    """A thick, slightly uneven ring."""
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    phase = rng.uniform(0, 2 * np.pi, 2)
    wobble = 1 + 0.04 * np.sin(2 * angle + phase[0]) + 0.03 * np.sin(3 * angle + phase[1])
    hole = polar(np.full(32, rng.uniform(0.38, 0.58))) + rng.uniform(-0.08, 0.08, 2)
    return polar(wobble), hole


@shape
def crescent(rng: np.random.Generator) -> Contours:
    """A bent body with pointed ends."""
    half = rng.uniform(1.2, 2.2)  # half of the arc, radians
    width = rng.uniform(0.28, 0.42)
    along = np.linspace(-1, 1, 26)
    thick = width * (1 - along**2) ** 0.7
    angle = along * half
    direction = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    outside, inside = direction * (1 + thick)[:, None], direction * (1 - thick)[:, None]
    return (np.concatenate([outside, inside[-2:0:-1]]),)


@shape
def bar(rng: np.random.Generator) -> Contours:
    """A long plank."""
    half = rng.uniform(0.08, 0.2)
    x = np.array([-1.0, 1.0, 1.0, -1.0])
    y = half * np.array([-1, -1, 1, 1]) * rng.uniform(0.7, 1.3, 4)
    return (np.stack([x, y], axis=1),)


@shape
def slab(rng: np.random.Generator) -> Contours:
    """A blunt polygon that covers at least three quarters of its disc's radius."""
    corners = int(rng.integers(7, 11))
    return (polar(rng.uniform(0.88, 1.0, corners)),)
