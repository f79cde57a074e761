import numpy as np
import pytest
import torch
from scipy.interpolate import CubicSpline

from mim_backbones.backbones.layers.rel_pos_bias import (
    RelPosBias,
    cubic_spline_matrix,
    geometric_offsets,
    resize_rel_pos_table,
)


def index(grid: tuple[int, int], cls_token: bool) -> list[list[int]]:
    """Row of the table each (query, key) reads: the bias of a table that counts its rows."""
    bias = RelPosBias(grid, num_heads=1, cls_token=cls_token)
    table = bias.relative_position_bias_table
    table.data = torch.arange(len(table), dtype=torch.float32)[:, None]
    return bias(grid)[0].int().tolist()


def test_rows_of_a_two_by_one_grid_by_hand() -> None:
    # Two rows, one column: offsets -1, 0, 1 of query minus key are rows 0, 1, 2.
    assert index((2, 1), cls_token=False) == [[1, 0], [2, 1]]
    # With CLS: 3 is cls -> token, 4 token -> cls, 5 cls -> cls.
    assert index((2, 1), cls_token=True) == [[5, 3, 3], [4, 1, 0], [4, 2, 1]]


def test_bias_depends_on_the_offset_only() -> None:
    bias = RelPosBias((3, 4), num_heads=2, cls_token=False)
    torch.nn.init.normal_(bias.relative_position_bias_table)
    values = bias((3, 4)).view(2, 3, 4, 3, 4)
    assert torch.equal(values[:, 0, 0, 1, 2], values[:, 1, 1, 2, 3])
    assert not torch.equal(values[:, 0, 0, 1, 2], values[:, 1, 2, 0, 0])


@pytest.mark.parametrize('count', [4, 5, 9, 13])
def test_spline_matrix_equals_scipy(count: int) -> None:
    knots = np.cumsum(np.random.default_rng(count).uniform(0.5, 2, count))
    points = np.linspace(knots[0], knots[-1], 31)
    values = np.random.default_rng(0).normal(size=(count, 2))
    matrix = cubic_spline_matrix(torch.tensor(knots), torch.tensor(points)).numpy()
    expected = CubicSpline(knots, values, bc_type='not-a-knot')(points)
    np.testing.assert_allclose(matrix @ values, expected, atol=1e-10)


@pytest.mark.parametrize('count', [1, 2, 3])
def test_few_knots_give_the_polynomial_through_them(count: int) -> None:
    knots = torch.arange(count, dtype=torch.float64)
    values = (knots**2 + 1)[:, None] if count == 3 else (2 * knots + 1)[:, None]
    points = torch.linspace(0, max(count - 1, 0), 5, dtype=torch.float64)
    expected = (points**2 + 1) if count == 3 else (2 * points + 1 if count == 2 else points * 0 + 1)
    result = cubic_spline_matrix(knots, points) @ values
    torch.testing.assert_close(result[:, 0], expected)


def test_geometric_offsets_are_symmetric_and_start_at_one() -> None:
    offsets = geometric_offsets(11, 23)
    torch.testing.assert_close(offsets, -offsets.flip(0))
    assert offsets[6] == 1.0
    assert abs(offsets[-1] - 11) < 1e-3  # the reach of the target


def test_resizing_keeps_extra_rows_and_gradient() -> None:
    table = torch.randn(7 * 7 + 3, 2, requires_grad=True)
    resized = resize_rel_pos_table(table, (4, 4), (6, 5), 3)
    assert resized.shape == (11 * 9 + 3, 2)
    assert torch.equal(resized[-3:], table[-3:])
    resized.sum().backward()
    assert (table.grad != 0).any()
