import pytest
import torch

from mim_backbones.backbones.layers.pos_embed import resize_pos_embed
from mim_backbones.backbones.layers.rel_pos_bias import resize_rel_pos_table
from mim_backbones.backbones.position_tables import (
    SHARED,
    fit_axis,
    fit_positions,
    fit_table,
    fit_vit_tables,
)


def test_positions_of_the_same_grid_are_taken_as_they_are() -> None:
    table = torch.randn(1, 17, 4)
    assert fit_positions(table, (4, 4), 1) is table


def test_the_cls_row_is_dropped_or_zero() -> None:
    table = torch.randn(1, 17, 4)
    assert torch.equal(fit_positions(table, (4, 4), 0), table[:, 1:])
    with_row = fit_positions(table[:, 1:], (4, 4), 1)
    assert torch.equal(with_row[:, 1:], table[:, 1:])
    assert not with_row[:, 0].any()


def test_positions_go_to_any_rectangle() -> None:
    table = torch.randn(1, 17, 4)
    found = fit_positions(table, (3, 7), 1)
    assert torch.equal(found, resize_pos_embed(table, (4, 4), (3, 7), 1))
    back = fit_positions(found, (4, 4), 1, source_grid=(3, 7))
    assert back.shape == table.shape


@pytest.mark.parametrize(('rows', 'grid'), [(19, (4, 4)), (16, (2, 8))])
def test_positions_that_no_grid_explains(rows: int, grid: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=r'grid=\(H, W\)'):
        fit_positions(torch.zeros(1, rows, 4), grid, 0)


def test_relative_tables_keep_or_drop_the_cls_rows() -> None:
    table = torch.randn(7 * 7 + 3, 2)  # 4 x 4
    found = fit_table(table, (6, 6), 1)
    assert torch.equal(found, resize_rel_pos_table(table, (4, 4), (6, 6), 3))
    assert torch.equal(found[-3:], table[-3:])
    assert torch.equal(fit_table(table, (4, 4), 0), table[:-3])
    with pytest.raises(ValueError, match='cls_token=False'):
        fit_table(table[:-3], (4, 4), 1)
    with pytest.raises(ValueError, match='no square grid'):
        fit_table(torch.zeros(5 * 9, 2), (3, 5), 0)
    assert len(fit_table(torch.zeros(5 * 9, 2), (4, 4), 0, source_grid=(3, 5))) == 49


def test_decomposed_tables_are_linear_along_the_axis() -> None:
    table = torch.tensor([[0.0], [1.0], [2.0]])
    assert fit_axis(table, 3) is table
    assert fit_axis(table, 5).flatten().tolist() == pytest.approx([0, 0.4, 1, 1.6, 2])


def test_a_shared_table_goes_to_every_block_but_not_back() -> None:
    table = torch.randn(52, 2)
    own = {f'blocks.{i}.{SHARED}': torch.zeros(124, 2) for i in range(2)}
    state, changes = fit_vit_tables({SHARED: table}, own, (6, 6), 1)
    assert set(state) == set(own) == set(changes)
    assert torch.equal(state[f'blocks.1.{SHARED}'], fit_table(table, (6, 6), 1))
    with pytest.raises(ValueError, match='per_block'):
        fit_vit_tables(state, {SHARED: table}, (4, 4), 1)
