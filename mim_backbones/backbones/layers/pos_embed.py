"""Absolute position embeddings: sin-cos tables and resizing to any grid."""

import torch
import torch.nn.functional as F
from torch import Tensor

Grid = tuple[int, int]


def sincos_pos_embed(
    embed_dim: int, grid: Grid, num_prefix: int = 0, x_first: bool = True
) -> Tensor:
    """Fixed 2-D sine-cosine table, (1, num_prefix + H*W, D) float32, prefix rows zero.

    Half of the channels encode one axis, half the other; each half is sines then cosines of
    `position / 10000^(i / (D/4))`. MAE puts the column (x) in the first half (`x_first`),
    MoCo v3 the row.

    Raises:
        ValueError: embed_dim is not a multiple of 4.
    """
    if embed_dim % 4:
        raise ValueError(f'sincos_pos_embed: embed_dim {embed_dim} is not a multiple of 4')
    quarter = embed_dim // 4
    frequency = 10000.0 ** (-torch.arange(quarter, dtype=torch.float64) / quarter)

    def encode(position: Tensor) -> Tensor:
        angle = position.reshape(-1, 1) * frequency
        return torch.cat([angle.sin(), angle.cos()], dim=1)

    rows, columns = torch.meshgrid(
        *(torch.arange(side, dtype=torch.float64) for side in grid), indexing='ij'
    )
    first, second = (columns, rows) if x_first else (rows, columns)
    table = torch.cat([encode(first), encode(second)], dim=1)
    prefix = table.new_zeros(num_prefix, embed_dim)
    return torch.cat([prefix, table])[None].float()


def resize_pos_embed(pos_embed: Tensor, source: Grid, target: Grid, num_prefix: int) -> Tensor:
    """Resize a (1, num_prefix + h*w, D) table to (1, num_prefix + H*W, D); prefix rows stay.

    Bicubic without corner alignment, as in the released fine-tuning codes of MAE and BEiT.
    """
    if source == target:
        return pos_embed
    prefix, table = pos_embed[:, :num_prefix], pos_embed[:, num_prefix:]
    maps = table.reshape(1, *source, -1).permute(0, 3, 1, 2)
    resized = F.interpolate(maps.float(), size=target, mode='bicubic', align_corners=False)
    return torch.cat([prefix, resized.flatten(2).transpose(1, 2).to(table.dtype)], dim=1)
