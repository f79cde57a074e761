"""One random stream per picture, so that any picture can be made alone, in any order."""

from zlib import crc32

import numpy as np

from downstream.synthetic.classes import WORLD_VERSION


def random_stream(seed: int, split: str, index: int) -> np.random.Generator:
    """Depends on nothing else. split: such as 'coco/train2017'; seed and index: 0 or more."""
    return np.random.default_rng([WORLD_VERSION, seed, crc32(split.encode()), index])
