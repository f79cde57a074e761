"""The target normalised by a sliding window, of the later official code."""

import re
from typing import Any

import pytest

from pretrain.targets.pixels import NormalisedTarget

AS_IT_IS = {'mean': (0.0,), 'std': (1.0,)}  # the file's images are normalised already
FIELD = re.compile(r'out_(?:(\w+)_)?k(\d+)')


def windows(content: dict[str, Any]) -> list[str]:
    return [name for name in content if FIELD.fullmatch(name)]


def image_and_window(golden: dict[str, Any], field: str) -> tuple[Any, int]:
    kind, window = FIELD.fullmatch(field).groups()
    return golden['img' if kind is None else f'img_{kind}'], int(window)


@pytest.mark.golden('simmim_norm_target', each=windows)
def test_the_released_precision(golden, field, same) -> None:
    image, window = image_and_window(golden, field)
    target = NormalisedTarget(window, 'float32', **AS_IT_IS)
    same(field, target(image).values, golden[field], atol=1e-6)


@pytest.mark.golden('simmim_norm_target', each=windows)
def test_our_precision_where_something_is_left_to_divide_by(golden, field, same) -> None:
    """Flat surroundings apart: there the released variance is what rounding left of it."""
    image, window = image_and_window(golden, field)
    target = NormalisedTarget(window, **AS_IT_IS)
    spread = target.statistics(image, window)[1] > 0.1
    if not spread.any():
        pytest.skip(f'{field}: flat everywhere')
    same(field, target(image).values[spread], golden[field][spread], atol=1e-3)
