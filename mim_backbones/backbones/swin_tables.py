"""Position tables of a Swin checkpoint, resized to another window or image size."""

from collections.abc import Mapping
from math import isqrt

import torch
from torch import Tensor

from mim_backbones.backbones.layers.pos_embed import Grid, resize_pos_embed
from mim_backbones.backbones.layers.rel_pos_bias import resize_rel_pos_table


@torch.no_grad()
def fit_swin_tables(
    state: Mapping[str, Tensor],
    own: Mapping[str, Tensor],
    grid: Grid,
    source_grid: Grid | None = None,
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """`state` with every table in the shape of `own`, and {key: 'from -> to'} of what changed.

    Relative tables by the published geometric method, stage by stage (a stage whose window shrank
    has a smaller one); absolute positions bicubic. V2 has no relative tables.

    Args:
        grid: patch grid (H, W) of the absolute positions wanted.
        source_grid: that of the ones in `state`; needed where it is not square.

    Raises:
        ValueError: a shape differs and no resizing explains it.
    """
    fitted, changes = dict(state), {}
    for key, value in state.items():
        if key not in own or own[key].shape == value.shape:
            continue
        shape = own[key].shape
        if key.endswith('relative_position_bias_table') and is_table(value, shape):
            source, target = ((isqrt(len(t)) + 1) // 2 for t in (value, own[key]))
            fitted[key] = resize_rel_pos_table(value, (source, source), (target, target), 0)
        elif key == 'absolute_pos_embed' and value.ndim == 3 and value.shape[2] == shape[2]:
            fitted[key] = resize_pos_embed(value, source_grid or square(value), grid, 0)
        elif key == 'absolute_pos_embed' and value.ndim == 4 and value.shape[1] == shape[2]:
            # The published dense code keeps them as a map (1, C, H, W).
            rows = value.flatten(2).transpose(1, 2)
            fitted[key] = resize_pos_embed(rows, (value.shape[2], value.shape[3]), grid, 0)
        else:
            raise ValueError(
                f'{key} has shape {tuple(value.shape)}, the backbone wants {tuple(shape)}: '
                'another architecture'
            )
        changes[key] = f'{tuple(value.shape)} -> {tuple(shape)}'
    return fitted, changes


def is_table(value: Tensor, shape: torch.Size) -> bool:
    """Whether (rows, heads) is the table of a square window with as many heads as wanted."""
    side = isqrt(len(value)) if value.ndim == 2 else 0
    return side % 2 == 1 and side**2 == len(value) and value.shape[1] == shape[1]


def square(positions: Tensor) -> Grid:
    """The square grid of (1, cells, C); ValueError when the cells form none."""
    side = isqrt(positions.shape[1])
    if side**2 != positions.shape[1]:
        raise ValueError(
            f'absolute_pos_embed has {positions.shape[1]} rows, which is no square grid; '
            'say its grid: grid=(H, W)'
        )
    return side, side
