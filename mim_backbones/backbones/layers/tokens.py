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


def visible_indices(mask: Tensor) -> Tensor:
    """Places of the visible cells, (B, V) int64 in raster order.

    mask: (B, H, W) bool, True = hidden.

    Raises:
        UserError: the images hide different numbers of cells.
    """
    hidden = mask.flatten(1)
    counts = hidden.sum(1)
    fewest, most = int(counts.min()), int(counts.max())
    if fewest != most:
        raise UserError(
            f'the images of a batch hide from {fewest} to {most} cells, and a method that encodes '
            'visible tokens only wants equally many: give the masker exact=True'
        )
    # A stable sort of False before True keeps the raster order.
    order = hidden.to(torch.uint8).argsort(dim=1, stable=True)
    return order[:, : hidden.shape[1] - most]


def take(tokens: Tensor, keep: Tensor) -> Tensor:
    """tokens (B, N, ...), keep (B, V) int64 -> (B, V, ...), in the order of keep."""
    index = keep.reshape(*keep.shape, *[1] * (tokens.ndim - 2))
    return tokens.gather(1, index.expand(-1, -1, *tokens.shape[2:]))
