"""Resizing of relative tables (geometric cubic, extra CLS rows kept) and of absolute positions."""

import pytest

from mim_backbones.backbones.layers.pos_embed import resize_pos_embed
from mim_backbones.backbones.layers.rel_pos_bias import (
    CLS_ROWS,
    geometric_offsets,
    resize_rel_pos_table,
)


def grids(name: str) -> tuple[tuple[int, int], tuple[int, int]]:
    """Source and target grid of a case called kind_4to6."""
    source, target = map(int, name.rsplit('_', 1)[1].split('to'))
    return (source, source), (target, target)


@pytest.mark.golden('relpos_interp')
def test_tables(golden, same) -> None:
    for name, case in golden.items():
        source, target = grids(name)
        if 'pos_in' in case:
            own = resize_pos_embed(case['pos_in'], source, target, num_prefix=1)
            same(name, own, case['pos_out'])
            continue
        extra = CLS_ROWS if name.startswith('vit') else 0
        own = resize_rel_pos_table(case['table_in'], source, target, extra)
        same(name, own, case['table_out'], atol=1e-4)
        if extra:
            same(f'{name} CLS rows', own[-extra:], case['table_in'][-extra:], atol=0)
        if 'src_positions' in case:
            offsets = geometric_offsets(2 * source[0] - 1, 2 * target[0] - 1)
            same(f'{name} offsets', offsets, case['src_positions'])
