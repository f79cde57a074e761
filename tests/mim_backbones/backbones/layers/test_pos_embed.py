import math

import pytest
import torch

from mim_backbones.backbones.layers.pos_embed import resize_pos_embed, sincos_pos_embed


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
