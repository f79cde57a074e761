"""Cut a token grid into square windows and put it together again, padding right and bottom."""

import torch.nn.functional as F
from torch import Tensor


def window_partition(tokens: Tensor, size: int) -> tuple[Tensor, tuple[int, int]]:
    """tokens (B, H, W, D) -> windows (B * n, size*size, D) and the padded grid (Hp, Wp).

    Zeros fill up the last row and column of windows; they take part in the attention, as in
    ViTDet (arXiv 2203.16527).
    """
    batch, height, width, dim = tokens.shape
    pad_h, pad_w = -height % size, -width % size
    if pad_h or pad_w:
        tokens = F.pad(tokens, (0, 0, 0, pad_w, 0, pad_h))
    padded = (height + pad_h, width + pad_w)
    tokens = tokens.view(batch, padded[0] // size, size, padded[1] // size, size, dim)
    return tokens.transpose(2, 3).reshape(-1, size * size, dim), padded


def window_unpartition(
    windows: Tensor, size: int, padded: tuple[int, int], grid: tuple[int, int]
) -> Tensor:
    """Inverse of `window_partition`: (B * n, size*size, D) -> (B, H, W, D), padding cut off."""
    rows, columns = padded[0] // size, padded[1] // size
    dim = windows.shape[-1]
    tokens = windows.view(-1, rows, columns, size, size, dim).transpose(2, 3)
    return tokens.reshape(-1, *padded, dim)[:, : grid[0], : grid[1]]
