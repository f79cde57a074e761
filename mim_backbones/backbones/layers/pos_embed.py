"""Absolute position embeddings: sin-cos tables and resizing to any grid."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

Grid = tuple[int, int]


@dataclass(frozen=True)
class Resize:
    """How a position table goes to another grid.

    Attributes:
        mode: 'bicubic', 'bilinear' or 'nearest', without corner alignment.
        antialias: whether shrinking averages (timm, DINOv2's models with registers).
        offset: added to the new grid's sides before the scale is taken, so that the samples lie
            as far apart as that scale says and not as the two grids do: 0.1 in DINO's code.

    Raises:
        ValueError: no such mode, or one that cannot antialias.
    """

    mode: str = 'bicubic'
    antialias: bool = False
    offset: float = 0.0

    def __post_init__(self) -> None:
        known = ('bicubic', 'bilinear') if self.antialias else ('bicubic', 'bilinear', 'nearest')
        if self.mode not in known:
            how = ' with antialias=True' if self.antialias else ''
            raise ValueError(f'mode={self.mode!r}{how}; known: {", ".join(known)}')

    def __call__(self, maps: Tensor, target: Grid) -> Tensor:
        """(1, D, h, w) -> (1, D, H, W)."""
        smooth = None if self.mode == 'nearest' else False  # align_corners
        if not self.offset:
            return F.interpolate(
                maps, size=target, mode=self.mode, align_corners=smooth, antialias=self.antialias
            )
        scale = [(side + self.offset) / own for side, own in zip(target, maps.shape[-2:])]
        return F.interpolate(
            maps,
            scale_factor=scale,
            mode=self.mode,
            align_corners=smooth,
            antialias=self.antialias,
            recompute_scale_factor=False,
        )

    def __str__(self) -> str:
        words = [self.mode, 'antialiased' if self.antialias else 'without antialias']
        return ', '.join([*words, *([f'offset {self.offset}'] if self.offset else [])])


BICUBIC = Resize()  # the released fine-tuning codes of MAE and BEiT


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


def resize_pos_embed(
    pos_embed: Tensor, source: Grid, target: Grid, num_prefix: int, how: Resize = BICUBIC
) -> Tensor:
    """Resize a (1, num_prefix + h*w, D) table to (1, num_prefix + H*W, D); prefix rows stay."""
    if source == target:
        return pos_embed
    prefix, table = pos_embed[:, :num_prefix], pos_embed[:, num_prefix:]
    maps = table.reshape(1, *source, -1).permute(0, 3, 1, 2)
    resized = how(maps.float(), target)
    return torch.cat([prefix, resized.flatten(2).transpose(1, 2).to(table.dtype)], dim=1)
