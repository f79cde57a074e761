"""The target normalised by a sliding window, of the later official code."""

import re

import pytest

from pretrain.targets.pixels import NormalisedTarget


@pytest.mark.golden('simmim_norm_target')
def test_every_window_of_the_file(golden, same) -> None:
    fields = [re.fullmatch(r'out_(?:(\w+)_)?k(\d+)', name) for name in golden]
    found = [field for field in fields if field]
    assert found
    for field in found:
        image = golden['img' if field[1] is None else f'img_{field[1]}']
        same(
            field[0],
            NormalisedTarget(int(field[2]), mean=(0.0,), std=(1.0,))(image).values,
            golden[field[0]],
        )
