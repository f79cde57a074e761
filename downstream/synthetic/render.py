"""Scene -> picture, instance map and ground map. No randomness.

Painter's algorithm on two layers: the colours, and the light that falls on them. An object
covers the colours inside its outline, is shaded by its own relief, and darkens what lies below.
"""

from typing import NamedTuple

import cv2
import numpy as np

from downstream.synthetic.bank import TextureBank
from downstream.synthetic.raster import Window, compose, coverage, magnification, place, surface
from downstream.synthetic.scene import Ground, Scene, Thing

SEEN = 128  # a pixel belongs to what covers at least half of it


class Rendering(NamedTuple):
    """A picture and, per pixel, who is seen there."""

    image: np.ndarray  # (H, W, 3) uint8 RGB
    instances: np.ndarray  # (H, W) int32: 1 + index into scene.things, 0: none
    grounds: np.ndarray  # (H, W) uint8: index into scene.grounds, also where a thing hides it


def render(scene: Scene, size: tuple[int, int], bank: TextureBank) -> Rendering:
    """size: (width, height) in pixels, in the scene's aspect; any resolution."""
    width, height = size
    to_picture = scene.to_picture(height)
    canvas = Rendering(
        np.empty((height, width, 3), np.uint8),
        np.zeros((height, width), np.int32),
        np.zeros((height, width), np.uint8),
    )
    light = cv2.resize(scene.light, size, interpolation=cv2.INTER_CUBIC)
    ambient = light.copy()
    for index, ground in enumerate(scene.grounds):
        _paint_ground(canvas, index, ground, to_picture, bank)
    for index, thing in enumerate(scene.things):
        _paint_thing(canvas, light, ambient, index + 1, thing, scene, to_picture, bank)
    return canvas._replace(image=_expose(canvas.image, light, scene, bank))


def silhouette(thing: Thing, to_picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """bool (H, W): where the thing would be seen if nothing were before it."""
    transform = compose(to_picture, thing.to_world())
    contours = [place(contour, transform) for contour in thing.contours]
    return coverage(contours, Window(0, 0, *size)) >= SEEN


def _blend(below: np.ndarray, above: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return cv2.blendLinear(above, below, weight, 1 - weight)


def _paint_ground(
    canvas: Rendering, index: int, ground: Ground, to_picture: np.ndarray, bank: TextureBank
) -> None:
    height, width = canvas.grounds.shape
    window = Window(0, 0, width, height)
    colours = surface(ground.texture, cv2.invertAffineTransform(to_picture), window, bank)
    if ground.outline is None:
        canvas.image[:] = colours
        return
    cover = coverage([place(ground.outline, to_picture)], window)
    canvas.image[:] = _blend(canvas.image, colours, cover * np.float32(1 / 255))
    canvas.grounds[cover >= SEEN] = index


def _paint_thing(
    canvas: Rendering,
    light: np.ndarray,
    ambient: np.ndarray,
    number: int,
    thing: Thing,
    scene: Scene,
    to_picture: np.ndarray,
    bank: TextureBank,
) -> None:
    transform = compose(to_picture, thing.to_world())
    contours = [place(contour, transform) for contour in thing.contours]
    reach = magnification(transform)  # about the radius in pixels
    margin = 2 + int(0.4 * reach)  # room for the shadow
    shape = canvas.instances.shape[::-1]
    low = np.maximum(contours[0].min(axis=0).astype(int) - margin, 0)
    high = np.minimum(contours[0].max(axis=0).astype(int) + margin, shape)
    if (high <= low).any():
        return
    window = Window(*low.tolist(), *(high - low).tolist())
    part = window.slices
    cover = coverage(contours, window)
    weight = cover * np.float32(1 / 255)
    colours = surface(thing.texture, cv2.invertAffineTransform(transform), window, bank)
    canvas.image[part] = _blend(canvas.image[part], colours, weight)
    canvas.instances[part][cover >= SEEN] = number

    lit, unlit = _slopes(weight, reach, scene.light_angle)
    shaded = ambient[part] * (1 + thing.relief * (unlit - lit))
    shadowed = light[part] * (1 - thing.shadow * lit)
    light[part] = shadowed + weight * (shaded - shadowed)


def _slopes(weight: np.ndarray, reach: float, angle: float) -> tuple[np.ndarray, np.ndarray]:
    """The outline blurred to a hill, seen a step towards the light and a step away from it.

    Their difference is the hill's slope, hence the shading; the first is also the shadow.
    """
    half = max(round(0.3 * reach), 1)
    step = (round(0.8 * half * np.cos(angle)), round(0.8 * half * np.sin(angle)))
    size = (2 * half + 1, 2 * half + 1)
    hills = [
        cv2.blur(
            weight,
            size,
            anchor=(half - sign * step[0], half - sign * step[1]),
            borderType=cv2.BORDER_REPLICATE,
        )
        for sign in (1, -1)
    ]
    return hills[0], hills[1]


def _expose(colours: np.ndarray, light: np.ndarray, scene: Scene, bank: TextureBank) -> np.ndarray:
    """Colours under their light, through a lens and a noisy sensor: uint8 (H, W, 3)."""
    height, width = light.shape
    # Merged to three channels first: broadcasting over the last axis is several times slower.
    image = colours * np.asarray(cv2.merge((light, light, light)))
    if scene.blur:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), max(scene.blur * height, 0.3)))
    noise = bank.noise(scene.noise_corner, height, width)
    return cv2.scaleAdd(noise, scene.noise, image).clip(0, 255).astype(np.uint8)
