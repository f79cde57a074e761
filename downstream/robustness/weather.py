"""Weather: image (H, W, 3) uint8 RGB, severity 1..5, generator -> the same, snowed on."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from downstream.robustness.blur import streaked, stretched

GREY = np.array([0.299, 0.587, 0.114], np.float32)


def snow(image: NDArray, severity: int, rng: np.random.Generator) -> NDArray:
    """Flakes, blurred downwards, twice over a picture that is bleached."""
    mean, deviation, zoom, least, radius, sigma, kept = (
        (0.1, 0.3, 3, 0.5, 10, 4, 0.8),
        (0.2, 0.3, 2, 0.5, 12, 4, 0.7),
        (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
        (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
        (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
    )[severity - 1]
    height, width = image.shape[:2]
    # as many values as the published code enlarges of a layer of the picture's size
    small = [int(np.ceil(side / zoom)) for side in (height, width)]
    flakes = mean + deviation * rng.standard_normal((*small, 1), dtype=np.float32)
    flakes = stretched(flakes, zoom)[..., 0]
    flakes = np.where(flakes < least, 0, np.minimum(flakes, 1)) * 255
    flakes = streaked(flakes, radius, sigma, rng.uniform(-135, -45))[:height, :width]
    flakes = np.round(flakes)
    plain = image.astype(np.float32)
    bleached = np.maximum(plain, (plain @ GREY * 1.5 + 127.5)[..., None])
    snowed = kept * plain + (1 - kept) * bleached + (flakes + flakes[::-1, ::-1])[..., None]
    return np.clip(snowed, 0, 255).astype(np.uint8)


def fog(image: NDArray, severity: int, rng: np.random.Generator) -> NDArray:
    """Clouds added, then all of it scaled back to the picture's own brightness."""
    thickness, decay = ((1.5, 2), (2.0, 2), (2.5, 1.7), (2.5, 1.5), (3.0, 1.4))[severity - 1]
    height, width = image.shape[:2]
    brightest = int(image.max()) / 255
    clouds = plasma(max(height, width), decay, rng)[:height, :width]
    clouds *= 255 * thickness
    scale = brightest / (brightest + thickness)
    fogged = cv2.add(image.astype(np.float32), cv2.merge([clouds] * 3)) * np.float32(scale)
    return np.clip(fogged, 0, 255).astype(np.uint8)


def brightness(image: NDArray, severity: int, rng: np.random.Generator) -> NDArray:
    """More light: the value of HSV rises, hue and saturation stay."""
    added = 255 * (0.1, 0.2, 0.3, 0.4, 0.5)[severity - 1]
    value = image.max(2)
    levels = np.arange(256)
    wanted = np.minimum(levels + added, 255)
    # hue and saturation are ratios of the colours: all three are scaled alike
    factor = np.divide(wanted, levels, out=np.zeros(256), where=levels > 0).astype(np.float32)
    bright = image * factor[value][..., None]
    bright[value == 0] = wanted[0]
    return np.clip(bright + 1e-3, 0, 255).astype(np.uint8)  # 254.99999 is 255


def frost(
    image: NDArray, severity: int, rng: np.random.Generator, pictures: Sequence[NDArray] = ()
) -> NDArray:
    """Ice on the lens, laid over the picture by the published weights.

    Args:
        pictures: photographs of frost, (h, w, 3) uint8 RGB, as the published ones; a crop of one is
            taken. Without any the ice is drawn, and results do not compare with published ones.
    """
    kept, laid = ((1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75))[severity - 1]
    height, width = image.shape[:2]
    if pictures:
        ice = _crop(pictures[rng.integers(len(pictures))], height, width, rng)
    else:
        ice = drawn_frost(height, width, rng)
    return np.clip(kept * image.astype(np.float32) + laid * ice, 0, 255).astype(np.uint8)


def _crop(photograph: NDArray, height: int, width: int, rng: np.random.Generator) -> NDArray:
    """A place drawn at random, of a photograph enlarged by a tenth, or to cover the picture."""
    own = photograph.shape[:2]
    scale = 1.1 * max(1, height / own[0], width / own[1])
    size = [int(np.ceil(side * scale)) for side in own]
    large = cv2.resize(photograph, size[::-1], interpolation=cv2.INTER_CUBIC)
    top, left = (int(rng.integers(full - side)) for full, side in zip(size, (height, width)))
    return large[top : top + height, left : left + width]


def drawn_frost(height: int, width: int, rng: np.random.Generator) -> NDArray:
    """(H, W, 3) float32 in 0..255: feathers of ice over a haze, denser here and there.

    Mean, deviation and grain are about those of the five photographs that ImageNet-C crops.
    """
    haze = plasma(max(height, width), 1.8, rng)[:height, :width]
    canvas = np.zeros((height, width), np.uint8)
    scale = max(height, width) / 640
    crystals = int(height * width / 240 / scale**2)
    for brightness in (60, 110, 160, 220):  # the brightest lie on top
        lines = feathers(height, width, scale, crystals // 4 + 1, rng)
        cv2.polylines(canvas, list(lines), False, brightness, 1, cv2.LINE_AA, shift=4)
    ice = 115 + 55 * haze + (canvas * np.float32(0.45)) * (0.3 + haze)
    tint = np.array([0.89, 1.01, 1.08], np.float32)  # the photographs are bluish
    return np.clip(ice[..., None] * tint, 0, 255)


def feathers(
    height: int, width: int, scale: float, count: int, rng: np.random.Generator
) -> NDArray:
    """(count * 13, 2, 2) int32: ends (x, y) of straight lines in sixteenths of a pixel.

    A feather is a spine with six pairs of branches at 60 degrees, shorter towards its tip.
    """
    root = rng.uniform((0, 0), (width, height), (count, 2))
    angle = rng.uniform(0, 2 * np.pi, count)
    length = scale * rng.gamma(4, 7, count)

    def way(turned: NDArray) -> NDArray:
        return np.stack([np.cos(turned), np.sin(turned)], -1)

    spine = way(angle) * length[:, None]  # (count, 2)
    starts, ends = [root], [root + spine]
    for share in np.linspace(0.15, 0.85, 6):
        start = root + share * spine
        reach = (0.45 * (1 - share) * length)[:, None]
        for side in (-np.pi / 3, np.pi / 3):
            starts.append(start)
            ends.append(start + reach * way(angle + side))
    lines = np.stack([np.concatenate(starts), np.concatenate(ends)], 1)
    return np.round(16 * lines).astype(np.int32)


def plasma(least: int, decay: float, rng: np.random.Generator) -> NDArray:
    """(S, S) float32 in 0..1 of the diamond-square method; S: the power of two from `least` on.

    Each round doubles the side: new points are the mean of their four neighbours, the edges being
    joined, plus noise of an amplitude that falls with the square of `decay`.
    """
    height = np.zeros((1, 1), np.float32)
    amplitude = 10_000.0
    while len(height) < least:
        side = len(height)

        def noise(side: int = side, amplitude: float = amplitude) -> NDArray:
            return (rng.random((side, side), dtype=np.float32) * 2 - 1) * np.float32(amplitude)

        below, right = np.roll(height, -1, 0), np.roll(height, -1, 1)
        centre = (height + below + right + np.roll(below, -1, 1)) / 4 + noise()
        fine = np.empty((2 * side, 2 * side), np.float32)
        fine[::2, ::2], fine[1::2, 1::2] = height, centre
        fine[::2, 1::2] = (height + right + centre + np.roll(centre, 1, 0)) / 4 + noise()
        fine[1::2, ::2] = (height + below + centre + np.roll(centre, 1, 1)) / 4 + noise()
        height, amplitude = fine, amplitude / decay**2
    height -= height.min()
    return height / max(float(height.max()), 1e-6)
