"""Attention as papers write it, with the scores of all heads in memory: what ours is held against.

Each takes the weights of an `Attention` of ours, so that both must agree.
"""

import torch
from torch import Tensor

from mim_backbones.backbones.layers.attention import Attention, axis_table
from mim_backbones.backbones.layers.rel_pos_bias import RelPosBias

Grid = tuple[int, int]


def decomposed(attention: Attention, x: Tensor, grid: Grid) -> Tensor:
    """softmax(q.k / sqrt(d) + q.Rh[row] + q.Rw[column]) v, (B, N, D), ViTDet arXiv 2203.16527."""
    height, width = grid
    q, k, v = _heads(attention, x)
    row_wise = axis_table(attention.rel_pos_h, height)  # (H, H, d)
    column_wise = axis_table(attention.rel_pos_w, width)
    of_rows = torch.einsum('bnhwd,hkd->bnhwk', q.unflatten(2, grid), row_wise)
    of_columns = torch.einsum('bnhwd,wkd->bnhwk', q.unflatten(2, grid), column_wise)
    bias = of_rows[..., :, None] + of_columns[..., None, :]  # (B, heads, H, W, H, W)
    scores = q @ k.transpose(-2, -1) * attention.scale + bias.flatten(4).flatten(2, 3)
    return _project(attention, scores.softmax(-1) @ v)


def relative(attention: Attention, bias: RelPosBias, x: Tensor, grid: Grid) -> Tensor:
    """softmax(q.k / sqrt(d) + table[offset]) v, (B, N, D), read through an N x N index."""
    q, k, v = _heads(attention, x)
    index = offset_index(grid).to(x.device)
    table = bias.relative_position_bias_table[index.flatten()]
    scores = q @ k.transpose(-2, -1) * attention.scale
    scores = scores + table.view(*index.shape, -1).permute(2, 0, 1)
    return _project(attention, scores.softmax(-1) @ v)


def offset_index(grid: Grid) -> Tensor:
    """Row of an offset table for each (query, key), (N, N) int64."""
    rows, columns = torch.meshgrid(*(torch.arange(side) for side in grid), indexing='ij')
    rows, columns = rows.flatten(), columns.flatten()
    row_offset = rows[:, None] - rows + grid[0] - 1
    return row_offset * (2 * grid[1] - 1) + columns[:, None] - columns + grid[1] - 1


def _heads(attention: Attention, x: Tensor) -> tuple[Tensor, ...]:
    """q, k, v, (B, heads, N, d) each."""
    qkv = attention.qkv(x).unflatten(2, (3, attention.num_heads, -1))
    return qkv.permute(2, 0, 3, 1, 4).unbind(0)


def _project(attention: Attention, out: Tensor) -> Tensor:
    return attention.proj(out.transpose(1, 2).flatten(2))
