"""Draw scenes: `rng -> Scene`. All randomness of a still picture is here."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from downstream.synthetic.bank import VARIANTS
from downstream.synthetic.classes import (
    CLUTTER,
    CLUTTER_SHAPES,
    OBJECT_CLASSES,
    OBJECT_TEXTURES,
    STUFF_CLASSES,
    object_label,
)
from downstream.synthetic.scene import Ground, Scene, Texture, Thing
from downstream.synthetic.shapes import draw_shape, polar

_TONE = np.linspace(-1, 1, 256)[:, None]


@dataclass(frozen=True)
class Crowd:
    """How full a scene is. Radii are shares of the picture's height."""

    things: tuple[int, int] = (2, 5)  # labelled objects, both ends included
    clutter: tuple[int, int] = (0, 2)
    radius: tuple[float, float] = (0.1, 0.3)
    dominant: tuple[float, float] | None = None  # radius of one large object of a given class


STILL_LIFE = Crowd()
PORTRAIT = Crowd(things=(1, 5), clutter=(0, 2), radius=(0.04, 0.16), dominant=(0.26, 0.42))


class Look(NamedTuple):
    """Ranges a kind of surface draws from, the same for every class of it."""

    scale: tuple[float, float]  # tiles per unit length
    contrast: tuple[float, float]  # difference in brightness between a palette's ends
    colour: float  # strength of the hues, grey values


THING_LOOK = Look(scale=(0.3, 0.4), contrast=(110, 180), colour=48)
GROUND_LOOK = Look(scale=(0.9, 1.2), contrast=(70, 130), colour=36)

# Preferred hue of each texture family, radians: objects' textures and grounds each round the
# circle. Two object classes share every texture, so colour cannot tell them apart.
HUES = {
    family: 2 * np.pi * i / len(families)
    for families in (OBJECT_TEXTURES, STUFF_CLASSES)
    for i, family in enumerate(families)
}
HUE_SPREAD = 0.25
# Two orthonormal colour directions (RGB) of no brightness.
HUE_PLANE = np.array([[1, -1, 0], [1, 1, -2]]) / np.sqrt([[2], [6]])


def draw_palette(rng: np.random.Generator, family: str, look: Look) -> np.ndarray:
    """(256, 1, 3) uint8: a curve through three colours around the family's hue, random sharpness.

    The hue is a loose habit, as grass is mostly green: neighbouring families overlap.
    """
    span = rng.uniform(*look.contrast)
    low = rng.uniform(20, 235 - span)
    brightness = np.array([low, low + span / 2 + rng.uniform(-0.25, 0.25) * span, low + span])
    if rng.random() < 0.5:
        brightness = brightness[::-1]
    angle = HUES[family] + HUE_SPREAD * (rng.standard_normal() + 0.6 * rng.standard_normal(3))
    hue = np.stack([np.cos(angle), np.sin(angle)], axis=1) @ HUE_PLANE
    stops = brightness[:, None] + rng.gamma(3.0, look.colour / 3) * hue
    sharpness = rng.uniform(0.5, 4.5)
    t = 0.5 + 0.5 * np.tanh(sharpness * (_TONE - rng.uniform(-0.3, 0.3))) / np.tanh(sharpness)
    first, middle, last = stops  # of a quadratic Bezier curve
    curve = first + t * (2 * (middle - first) + t * (first - 2 * middle + last))
    return curve.clip(0, 255).astype(np.uint8)[:, None]


def draw_texture(rng: np.random.Generator, family: str, look: Look) -> Texture:
    """A texture of this family at any angle."""
    u, v, angle, size = rng.random(4)
    low, high = look.scale
    return Texture(
        family=family,
        variant=int(rng.integers(VARIANTS)),
        offset=(u, v),
        angle=2 * np.pi * angle,
        scale=low * (high / low) ** size,
        palette=draw_palette(rng, family, look),
    )


def draw_thing(
    rng: np.random.Generator, label: int, centre: tuple[float, float], radius: float
) -> Thing:
    """An object of this label (0: clutter of any shape and texture) at a random pose."""
    if label == CLUTTER:
        shape = CLUTTER_SHAPES[int(rng.integers(len(CLUTTER_SHAPES)))]
        families = OBJECT_TEXTURES + STUFF_CLASSES
        family = families[int(rng.integers(len(families)))]
    else:
        _, shape, family = OBJECT_CLASSES[label - 1]
    angle, stretch, relief, shadow = rng.random(4)
    return Thing(
        label=label,
        contours=draw_shape(shape, rng),
        texture=draw_texture(rng, family, THING_LOOK),
        centre=centre,
        radius=radius,
        angle=2 * np.pi * angle,
        stretch=1 - 0.3 * stretch,
        relief=0.3 + 0.9 * relief,
        shadow=0.15 + 0.4 * shadow,
    )


def draw_ground(rng: np.random.Generator, family: str, outline: np.ndarray | None) -> Ground:
    """An area of this family, upright within half a radian and seen a little from above."""
    angle, tilt = rng.uniform(-0.5, 0.5), rng.uniform(0.0, 0.6)
    return Ground(replace(draw_texture(rng, family, GROUND_LOOK), angle=angle, tilt=tilt), outline)


def draw_boundary(rng: np.random.Generator, aspect: float) -> np.ndarray:
    """(N, 2): everything below a wavy, tilted line."""
    x = np.linspace(-2, aspect + 2, 64)
    height, tilt, long, short, a, b = rng.random(6)
    y = 0.25 + 0.5 * height + (tilt - 0.5) * 0.7 * (x - aspect / 2)
    y += 0.07 * long * np.sin(5 * x + 6.3 * a) + 0.025 * short * np.sin(17 * x + 6.3 * b)
    return np.concatenate([np.stack([x, y], axis=1), [[aspect + 2, 4.0], [-2.0, 4.0]]])


def draw_patch(rng: np.random.Generator, aspect: float) -> np.ndarray:
    """(N, 2): a rounded area such as a pond."""
    angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    phase = rng.uniform(0, 2 * np.pi, 3)
    waves = sum(np.sin((k + 2) * angle + phase[k]) / (k + 2) for k in range(3))
    outline = polar(rng.uniform(0.2, 0.4) * (1 + 0.35 * waves)) * [1.3, 0.8]
    return outline + rng.uniform(0.1, 0.9, 2) * [aspect, 1]


def draw_grounds(rng: np.random.Generator, aspect: float) -> tuple[Ground, ...]:
    """One to three areas of different families, back to front."""
    count = int(rng.choice(3, p=(0.25, 0.5, 0.25))) + 1
    families = [STUFF_CLASSES[i] for i in rng.permutation(len(STUFF_CLASSES))[:count]]
    outlines: list[np.ndarray | None] = [None]
    if count > 1:
        outlines.append(draw_boundary(rng, aspect))
    if count > 2:
        outlines.append(draw_patch(rng, aspect))
    return tuple(draw_ground(rng, *pair) for pair in zip(families, outlines))


def draw_place(
    rng: np.random.Generator, aspect: float, radius: float, taken: list[Thing]
) -> tuple[float, float]:
    """A centre in the picture; a few tries to keep it off the middles of the others."""
    x = y = 0.0
    for _ in range(5):
        x, y = rng.uniform(0.03, 0.97, 2) * (aspect, 1.0)
        if all(
            np.hypot(x - t.centre[0], y - t.centre[1]) > 0.55 * (t.radius + radius) for t in taken
        ):
            break
    return x, y


def draw_scene(
    rng: np.random.Generator,
    crowd: Crowd = STILL_LIFE,
    dominant: int | None = None,
    aspect: float = 1.0,
) -> Scene:
    """One picture's content.

    dominant: label of the large object, when `crowd` has one; the other labels are random.
    """
    grounds = draw_grounds(rng, aspect)
    things: list[Thing] = []
    if crowd.dominant is not None:
        assert dominant is not None
        middle = tuple(np.array([aspect, 1.0]) * rng.uniform(0.35, 0.65, 2))
        things.append(draw_thing(rng, dominant, middle, rng.uniform(*crowd.dominant)))
    labels = [
        object_label(int(rng.integers(len(OBJECT_CLASSES))))
        for _ in range(rng.integers(crowd.things[0], crowd.things[1] + 1))
    ]
    labels += [CLUTTER] * int(rng.integers(crowd.clutter[0], crowd.clutter[1] + 1))
    smallest, largest = crowd.radius
    for label in labels:
        radius = smallest * (largest / smallest) ** rng.random()
        things.append(draw_thing(rng, label, draw_place(rng, aspect, radius, things), radius))
    order = draw_depths(rng, things)
    return Scene(
        aspect=aspect,
        grounds=grounds,
        things=tuple(things[i] for i in order),
        **draw_light(rng),
    )


def draw_depths(rng: np.random.Generator, things: list[Thing]) -> np.ndarray:
    """Back to front: by size with a large random part, so that most small objects show."""
    sizes = np.array([thing.radius for thing in things])
    return np.argsort(-sizes * np.exp(rng.normal(0, 0.8, len(things))), kind='stable')


def draw_light(rng: np.random.Generator) -> dict:
    """The fields of Scene that are about light and the sensor."""
    exposure = rng.uniform(0.8, 1.1)
    return {
        'light': (exposure * rng.uniform(0.75, 1.2, (3, 3))).astype(np.float32),
        'light_angle': rng.uniform(0, 2 * np.pi),
        'noise': rng.uniform(20.0, 35.0),
        'noise_corner': tuple(int(i) for i in rng.integers(0, 4096, 2)),
        'blur': 0.006 * rng.random() if rng.random() < 0.35 else 0.0,
    }
