import math

import pytest
import torch

from mim_backbones.layers.pos_embed import resize_pos_embed, sincos_pos_embed


def test_sincos_by_hand() -> None:
    # D = 4: one frequency (1) per axis; MAE puts sin(x), cos(x), sin(y), cos(y).
    table = sincos_pos_embed(4, (2, 2), num_prefix=1)[0]
    assert table[0].tolist() == [0, 0, 0, 0]
    expected = torch.tensor([math.sin(1), math.cos(1), 0, 1])  # second patch: x = 1, y = 0
    torch.testing.assert_close(table[2], expected)


def test_axis_orders_are_transposes() -> None:
    mae = sincos_pos_embed(8, (3, 3)).view(3, 3, 8)
    moco = sincos_pos_embed(8, (3, 3), x_first=False).view(3, 3, 8)
    torch.testing.assert_close(mae, moco.transpose(0, 1))


def test_width_must_be_a_multiple_of_four() -> None:
    with pytest.raises(ValueError, match='multiple of 4'):
        sincos_pos_embed(6, (2, 2))


def test_resize_keeps_the_prefix_and_handles_rectangles() -> None:
    table = torch.randn(1, 1 + 16, 8)
    resized = resize_pos_embed(table, (4, 4), (3, 7), num_prefix=1)
    assert resized.shape == (1, 1 + 21, 8)
    assert torch.equal(resized[:, :1], table[:, :1])


def test_equal_to_the_published_tables(shared) -> None:
    for path in sorted((shared / 'golden').glob('sincos*.pt')):
        for name, table in torch.load(path, weights_only=True).items():
            kind, width, side = name.split('_')
            grid = (int(side[1:]),) * 2
            own = sincos_pos_embed(int(width[1:]), grid, 1, x_first=kind == 'mae')
            torch.testing.assert_close(own.view_as(table), table, atol=1e-6, rtol=0, msg=name)
    for path in sorted((shared / 'golden').glob('relpos_interp*.pt')):
        for name, case in torch.load(path, weights_only=True).items():
            if 'pos_in' in case:
                source, target = map(int, name.split('_')[-1].split('to'))
                out = resize_pos_embed(case['pos_in'], (source,) * 2, (target,) * 2, 1)
                torch.testing.assert_close(out, case['pos_out'], atol=1e-5, rtol=0, msg=name)
