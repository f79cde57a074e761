"""Position tables of a checkpoint, fitted to another grid, window or kind of bias.

absolute     as the caller says, bicubic by default; the CLS row stays, is dropped, or is zero where
             there was none
relative     the published geometric spline; a shared table goes to every block of a ViT, and each
             stage of a Swin has a window of its own
decomposed   linear along each axis, as ViTDet does
"""

from collections.abc import Mapping
from math import isqrt

import torch
import torch.nn.functional as F
from torch import Tensor

from mim_backbones.backbones.layers.pos_embed import BICUBIC, Grid, Resize, resize_pos_embed
from mim_backbones.backbones.layers.rel_pos_bias import CLS_ROWS, resize_rel_pos_table

SHARED = 'rel_pos_bias.relative_position_bias_table'
SAY_GRID = 'say its grid: grid=(H, W) (--backbone "grid=(H, W)" on the command line)'


@torch.no_grad()
def fit_vit_tables(
    state: Mapping[str, Tensor],
    own: Mapping[str, Tensor],
    grid: Grid,
    num_cls: int,
    source_grid: Grid | None = None,
    pos_grid: Grid | None = None,
    how: Resize = BICUBIC,
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """`state` with every table in the shape of `own`, and {key: 'from -> to'} of what changed.

    Args:
        grid: patch grid (H, W) of the tables wanted.
        num_cls: 1 when the backbone has a CLS token.
        source_grid: grid of the tables in `state`; needed where they are not square.
        pos_grid: that of the absolute positions wanted, where it is another than `grid`.
        how: absolute positions are resized.

    Raises:
        ValueError: a table that fits no grid, or no place for it.
    """
    fitted, changes = fan_out(dict(state), own)
    for key in fitted.keys() & own.keys():
        value, shape = fitted[key], own[key].shape
        if value.dtype in (torch.float16, torch.bfloat16):
            value = value.float()  # what is resized is not rounded again
        if key == 'pos_embed':
            new = fit_positions(value, pos_grid or grid, num_cls, source_grid, how)
        elif key.endswith('relative_position_bias_table'):
            new = fit_table(value, grid, num_cls, source_grid)
        elif key.endswith(('rel_pos_h', 'rel_pos_w')):
            new = fit_axis(value, len(own[key]))
        else:
            continue
        fitted[key] = new
        if new.shape != value.shape:
            changes[key] = f'{tuple(value.shape)} -> {tuple(shape)}'
    return fitted, changes


def fan_out(
    state: dict[str, Tensor], own: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """A shared relative table, copied to every block that wants one of its own.

    Raises:
        ValueError: the blocks' tables are many and the backbone wants one.
    """
    per_block = [key for key in own if key.startswith('blocks.') and key.endswith(SHARED)]
    if SHARED in state and SHARED not in own and per_block:
        table = state.pop(SHARED)
        missing = [key for key in per_block if key not in state]
        state.update(dict.fromkeys(missing, table))
        return state, {key: f'{tuple(table.shape)}, shared by the blocks' for key in missing}
    if SHARED in own and SHARED not in state and any(key.endswith(SHARED) for key in state):
        raise ValueError(
            "a relative table in each block does not fit one shared table; rel_pos_bias='per_block'"
        )
    return state, {}


def fit_positions(
    table: Tensor,
    grid: Grid,
    num_cls: int,
    source_grid: Grid | None = None,
    how: Resize = BICUBIC,
) -> Tensor:
    """(1, n, D) with or without a CLS row -> (1, num_cls + H*W, D).

    Raises:
        ValueError: n is no grid, or a square and the wanted grid both explain it.
    """
    count = table.shape[1]
    side = isqrt(count)
    source = source_grid or (side, side)
    rows = count - source[0] * source[1]
    if rows not in (0, 1):
        raise ValueError(
            f'pos_embed has {count} rows, which is no {"x".join(map(str, source))} grid with or '
            f'without a CLS row; {SAY_GRID}'
        )
    if source_grid is None and source != grid and source[0] * source[1] == grid[0] * grid[1]:
        raise ValueError(
            f'pos_embed has {count} rows: a {side}x{side} grid or {grid[0]}x{grid[1]}; {SAY_GRID}'
        )
    if rows > num_cls:
        table = table[:, rows:]
    elif rows < num_cls:
        # No row is a position of zeros: the CLS token was added without one.
        table = torch.cat([table.new_zeros(1, num_cls, table.shape[2]), table], dim=1)
    return resize_pos_embed(table, source, grid, num_cls, how)


def fit_table(table: Tensor, grid: Grid, num_cls: int, source_grid: Grid | None = None) -> Tensor:
    """((2h-1)*(2w-1) [+ 3], heads) -> ((2H-1)*(2W-1) + 3 * num_cls, heads).

    Raises:
        ValueError: the rows are no grid's, or lack the three of a CLS token.
    """
    source = source_grid or _square(len(table))
    extra = len(table) - (2 * source[0] - 1) * (2 * source[1] - 1) if source else -1
    if source is None or extra not in (0, CLS_ROWS):
        raise ValueError(f"a relative table of {len(table)} rows is no square grid's; {SAY_GRID}")
    if num_cls and not extra:
        raise ValueError(
            'the relative tables have no rows for a CLS token; build with cls_token=False'
        )
    kept = CLS_ROWS if num_cls else 0
    return resize_rel_pos_table(table[: len(table) - extra + kept], source, grid, kept)


def fit_axis(rel_pos: Tensor, rows: int) -> Tensor:
    """Decomposed positions of one axis, (2s-1, d) -> (rows, d)."""
    if len(rel_pos) == rows:
        return rel_pos
    lines = rel_pos.float().T[None]
    return F.interpolate(lines, size=rows, mode='linear')[0].T.to(rel_pos.dtype)


def _square(rows: int) -> Grid | None:
    """The grid whose (2s-1)^2 offsets, with or without CLS rows, are `rows`."""
    for extra in (0, CLS_ROWS):
        side = isqrt(max(0, rows - extra))
        if side % 2 and side**2 == rows - extra:
            return (side + 1) // 2, (side + 1) // 2
    return None


@torch.no_grad()
def fit_swin_tables(
    state: Mapping[str, Tensor],
    own: Mapping[str, Tensor],
    grid: Grid,
    source_grid: Grid | None = None,
    how: Resize = BICUBIC,
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """`state` with every table in the shape of `own`, and {key: 'from -> to'} of what changed.

    Relative tables by the published geometric method, stage by stage (a stage whose window shrank
    has a smaller one). V2 has no relative tables.

    Args:
        grid: patch grid (H, W) of the absolute positions wanted.
        source_grid: that of the ones in `state`; needed where it is not square.
        how: absolute positions are resized.

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
            fitted[key] = resize_pos_embed(value, source_grid or square(value), grid, 0, how)
        elif key == 'absolute_pos_embed' and value.ndim == 4 and value.shape[1] == shape[2]:
            # The published dense code keeps them as a map (1, C, H, W).
            rows = value.flatten(2).transpose(1, 2)
            fitted[key] = resize_pos_embed(rows, (value.shape[2], value.shape[3]), grid, 0, how)
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
            f'absolute_pos_embed has {positions.shape[1]} rows, which is no square grid; {SAY_GRID}'
        )
    return side, side
