"""Token sequences: to maps, to vectors, and which tokens a mask leaves visible."""

import torch
from torch import Tensor

from mim_backbones.errors import UserError

Grid = tuple[int, int]
POOLS = ('cls', 'mean', 'cls_mean')


def to_map(tokens: Tensor, grid: Grid, num_prefix: int) -> Tensor:
    """(B, prefix + H*W, D) -> (B, D, H, W), prefix tokens dropped."""
    return tokens[:, num_prefix:].transpose(1, 2).unflatten(2, grid).contiguous()


def pool_tokens(tokens: Tensor, num_prefix: int, pool: str) -> Tensor:
    """One vector per image out of (B, prefix + N, D).

    pool: 'cls' (the first token), 'mean' (of the patch tokens) or 'cls_mean' (both, 2 D wide).

    Raises:
        ValueError: no such pool, or the tokens have no CLS token.
    """
    if pool not in POOLS:
        raise ValueError(f'pool={pool!r}; known: {", ".join(POOLS)}')
    if pool != 'mean' and not num_prefix:
        raise ValueError(f"pool={pool!r} needs a CLS token; use pool='mean' or cls_token=True")
    cls, mean = tokens[:, 0], tokens[:, num_prefix:].mean(1)
    return {'cls': cls, 'mean': mean}.get(pool, torch.cat([cls, mean], dim=1))


def split_places(mask: Tensor) -> tuple[Tensor, Tensor]:
    """Places of the visible cells (B, V) and of the hidden ones (B, M), int64 in raster order.

    mask: (B, H, W) bool, True = hidden.

    A graph of `torch.compile` is made for the number that its first batch hides: nothing waits for
    the device to tell it again, and a batch that hides another ends the run.

    Raises:
        UserError: the images hide different numbers of cells.
    """
    hidden = mask.flatten(1)
    count = hidden_cells(mask)
    if torch.compiler.is_compiling():
        torch._assert_async(
            (hidden.sum(1) == count).all(),
            'a mask hides another number of cells than the first batch, which the compiled step '
            'is made for: give the masker exact=True, or leave --compile out',
        )
    visible = hidden.shape[1] - count
    # A stable sort of False before True keeps the raster order.
    order = hidden.to(torch.uint8).argsort(dim=1, stable=True)
    return order[:, :visible], order[:, visible:]


@torch.compiler.assume_constant_result
def hidden_cells(mask: Tensor) -> int:
    """How many cells each image hides; see `split_places`."""
    counts = mask.flatten(1).sum(1)
    fewest, most = torch.stack([counts.min(), counts.max()]).tolist()
    if fewest != most:
        raise UserError(
            f'the images of a batch hide from {fewest} to {most} cells, and a method that encodes '
            'visible tokens only wants equally many: give the masker exact=True'
        )
    return most


def visible_indices(mask: Tensor) -> Tensor:
    """Places of the visible cells alone, see `split_places`."""
    return split_places(mask)[0]


def places_in_units(units: Tensor, grid: Grid, side: int) -> Tensor:
    """Raster places, on `grid`, of the tokens that square units hold.

    Args:
        units: (B, U) int64, raster places on the grid of units.
        grid: (H, W) of the tokens, multiples of side.
        side: tokens along a unit's side; of 1, units are tokens.

    Returns:
        (B, U * side * side), unit by unit, in raster order inside of each.
    """
    columns = grid[1] // side
    inside = torch.arange(side, device=units.device)
    rows = (units // columns * side)[..., None, None] + inside[:, None]
    return (rows * grid[1] + (units % columns * side)[..., None, None] + inside).flatten(1)


def take(tokens: Tensor, keep: Tensor) -> Tensor:
    """tokens (B, N, ...), keep (B, V) int64 -> (B, V, ...), in the order of keep."""
    index = keep.reshape(*keep.shape, *[1] * (tokens.ndim - 2))
    return tokens.gather(1, index.expand(-1, -1, *tokens.shape[2:]))
