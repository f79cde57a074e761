"""Noise of sensors: image (H, W, 3) uint8 RGB, severity 1..5, generator -> the same, noisy.

Values are cut to whole numbers, as the published files were.
"""

import numpy as np
from numpy.typing import NDArray


def gaussian_noise(image: NDArray, severity: int, rng: np.random.Generator) -> NDArray:
    """Few photons: normal noise of one deviation."""
    deviation = (0.08, 0.12, 0.18, 0.26, 0.38)[severity - 1]
    noisy = rng.standard_normal(image.shape, dtype=np.float32)
    noisy *= 255 * deviation
    noisy += image
    return np.clip(noisy, 0, 255).astype(np.uint8)


def shot_noise(image: NDArray, severity: int, rng: np.random.Generator) -> NDArray:
    """Light comes in quanta: `white` of them in a white pixel, on average."""
    white = (60, 25, 12, 5, 3)[severity - 1]
    counted = rng.poisson((np.arange(256) / 255 * white)[image])
    return np.minimum(counted * (255 / white), 255).astype(np.uint8)


def impulse_noise(image: NDArray, severity: int, rng: np.random.Generator) -> NDArray:
    """Broken bits: a share of the values becomes 0 or 255, each colour by itself."""
    share = (0.03, 0.06, 0.09, 0.17, 0.27)[severity - 1]
    drawn = rng.random(image.shape, dtype=np.float32)
    noisy = image.copy()
    noisy[drawn < share] = 255
    noisy[drawn < share / 2] = 0
    return noisy
