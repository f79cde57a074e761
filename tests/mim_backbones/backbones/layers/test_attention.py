import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mim_backbones.backbones.layers.attention import Attention, axis_table, decomposed_attention
from mim_backbones.backbones.layers.windows import window_partition, window_unpartition
from mim_backbones.bench.measure import peak_mib


def naive_decomposed(q, k, v, rel_h, rel_w, grid):
    """The published form: a score tensor with both biases added, then softmax."""
    height, width = grid
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
    index = [(i, j) for i in range(height) for j in range(width)]
    for a, (row_q, column_q) in enumerate(index):
        for b, (row_k, column_k) in enumerate(index):
            scores[..., a, b] += q[..., a, :] @ rel_h[row_q - row_k + height - 1]
            scores[..., a, b] += q[..., a, :] @ rel_w[column_q - column_k + width - 1]
    return scores.softmax(-1) @ v


@pytest.mark.parametrize('grid', [(2, 3), (4, 1), (3, 3)])
def test_decomposed_bias_folds_exactly_into_the_dot_product(grid) -> None:
    tokens = grid[0] * grid[1]
    q, k, v = torch.randn(3, 2, 2, tokens, 8, dtype=torch.float64)
    rel_h = torch.randn(2 * grid[0] - 1, 8, dtype=torch.float64)
    rel_w = torch.randn(2 * grid[1] - 1, 8, dtype=torch.float64)
    own = decomposed_attention(q, k, v, rel_h, rel_w, grid)
    torch.testing.assert_close(own, naive_decomposed(q, k, v, rel_h, rel_w, grid))


def test_axis_table_resizes_linearly() -> None:
    assert axis_table(torch.randn(5, 4), 5).shape == (5, 5, 4)
    table = torch.arange(5.0)[:, None]
    assert axis_table(table, 3)[2, 0].item() == 4.0  # query row 2, key row 0: the largest offset


def test_key_bias_stays_zero_in_qv_layout() -> None:
    attention = Attention(8, 2, qkv_bias='qv')
    torch.nn.init.ones_(attention.q_bias)
    torch.nn.init.ones_(attention.v_bias)
    q, k, v = attention._qkv(torch.zeros(1, 1, 8))[0, 0].split(8)
    assert q.eq(1).all()
    assert k.eq(0).all()
    assert v.eq(1).all()


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(ValueError, match='does not divide'):
        Attention(10, 3)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 5))
def test_windows_come_back_as_they_were(height: int, width: int, size: int) -> None:
    tokens = torch.randn(2, height, width, 3)
    windows, padded = window_partition(tokens, size)
    assert windows.shape[1] == size * size
    assert torch.equal(window_unpartition(windows, size, padded, (height, width)), tokens)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != 'linux', reason='peak memory is read from /proc')
@pytest.mark.parametrize('backward', [False, True])
def test_at_vitdet_sizes_no_head_has_a_score_matrix(backward: bool) -> None:
    """4,096 tokens are 1024 px at patch 16: one float32 matrix per head takes 64 MiB."""
    heads, grid = 2, (64, 64)
    attention = Attention(64 * heads, heads, decomposed_grid=grid)
    x = torch.randn(1, grid[0] * grid[1], 64 * heads, requires_grad=backward)
    scores_mib = heads * x.shape[1] ** 2 * 4 / 2**20

    def run() -> None:
        with torch.set_grad_enabled(backward):
            out = attention(x, grid=grid)
        if backward:
            out.sum().backward()

    run()  # what a first call loads is not the attention's
    assert peak_mib(run) < scores_mib * (1 if backward else 0.5)
