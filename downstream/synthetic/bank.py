"""The textures of one world, made once per process from the seed and kept at several sizes."""

from functools import lru_cache

import cv2
import numpy as np

from downstream.synthetic.classes import WORLD_VERSION
from downstream.synthetic.textures import TEXTURES, equalise

TILE = 256  # texels per side of one period
VARIANTS = 4  # per family
LEVELS = 6  # 256, 128, .. 8
_NOISE = 512


class TextureBank:
    """`tile(family, variant, texels_per_pixel)` and a field of sensor noise.

    A tile is stored twice in each direction, so that any window of one period lies inside it.
    """

    def __init__(self, seed: int):
        self._tiles = {
            family: [self._pyramid(family, variant, seed) for variant in range(VARIANTS)]
            for family in TEXTURES
        }
        rng = np.random.default_rng([WORLD_VERSION, seed, len(TEXTURES)])
        grain = rng.standard_normal((_NOISE, _NOISE, 3)) * 0.5
        self._noise = (grain + rng.standard_normal((_NOISE, _NOISE, 1))).astype(np.float32)

    @staticmethod
    def _pyramid(family: str, variant: int, seed: int) -> list[np.ndarray]:
        rng = np.random.default_rng([WORLD_VERSION, seed, list(TEXTURES).index(family), variant])
        tile = equalise(TEXTURES[family](rng, TILE))
        sizes = [TILE >> level for level in range(LEVELS)]
        return [
            np.tile(cv2.resize(tile, (size, size), interpolation=cv2.INTER_AREA), (2, 2))
            for size in sizes
        ]

    def tile(self, family: str, variant: int, texels_per_pixel: float) -> np.ndarray:
        """uint8 (2s, 2s), s texels a period: the size with at most about 1.4 texels per pixel.

        texels_per_pixel: how many of the full-size tile's texels one pixel would cover.
        """
        level = min(max(round(np.log2(max(texels_per_pixel, 1e-3))), 0), LEVELS - 1)
        return self._tiles[family][variant][level]

    def noise(self, corner: tuple[int, int], height: int, width: int) -> np.ndarray:
        """float32 (height, width, 3), standard deviation about 1.1, the window at `corner`."""
        rows = np.arange(corner[0], corner[0] + height)
        columns = np.arange(corner[1], corner[1] + width)
        return self._noise.take(rows, 0, mode='wrap').take(columns, 1, mode='wrap')


@lru_cache(maxsize=2)
def texture_bank(seed: int) -> TextureBank:
    """The bank of a world's seed; about 0.4 s and 20 MB the first time."""
    return TextureBank(seed)
