"""A few labelled pictures on disk."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def folders(tmp_path: Path) -> Callable[..., Path]:
    """folders(train={'cat': 3}, val={'cat': 1}) -> root of so many pictures of each class."""

    def make(**splits: dict[str, int]) -> Path:
        rng = np.random.default_rng(0)
        for split, classes in splits.items():
            for name, count in classes.items():
                folder = tmp_path / 'set' / split / name
                folder.mkdir(parents=True)
                for number in range(count):
                    pixels = rng.integers(0, 256, (40, 60, 3), np.uint8)
                    Image.fromarray(pixels).save(folder / f'{number}.JPEG')
        return tmp_path / 'set'

    return make
