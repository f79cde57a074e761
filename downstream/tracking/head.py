"""The centre head: where the target is (score), its size, and where inside the cell (offset).

Three towers of four conv3x3-BN-ReLU, C -> c -> c/2 -> c/4 -> c/8, then a 1x1 convolution; Xavier
weights (OSTrack, arXiv 2203.11991, section 3.3; botaoye/OSTrack 33b5e12). `decode` reads a box;
`CenterHead.best` makes no more of the maps than that box needs.
"""

import math
from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# A probability of exactly 0 or 1 would make the focal loss infinite.
FLOOR = 1e-4


class HeadMaps(NamedTuple):
    """score (B, 1, n, n) and size (B, 2, n, n) in (0, 1); offset (B, 2, n, n) in cells. float32."""

    score: Tensor
    size: Tensor
    offset: Tensor


class CenterHead(nn.Module):
    """(B, embed_dim, n, n) search features -> HeadMaps.

    Args:
        embed_dim: width of the backbone.
        channels: width of the first layer of each tower, divisible by 8.
        score_prior, size_prior: what an untrained score and size map says everywhere; None leaves
            the last layer's bias random, as published. Short schedules need them: 0.01 spares the
            steps in which the score only learns that most cells are background, and a size that
            starts at 1 / search_factor keeps a tracker's box from growing until it fills the image.
    """

    def __init__(
        self,
        embed_dim: int,
        channels: int = 256,
        score_prior: float | None = None,
        size_prior: float | None = None,
    ) -> None:
        super().__init__()
        if channels % 8:
            raise ValueError(f'CenterHead: channels={channels} is not divisible by 8')
        self.score = _tower(embed_dim, channels, 1)
        self.size = _tower(embed_dim, channels, 2)
        self.offset = _tower(embed_dim, channels, 2)
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)
        for tower, prior in ((self.score, score_prior), (self.size, size_prior)):
            if prior is not None:
                last = tower[-1]
                assert isinstance(last, nn.Conv2d)
                assert last.bias is not None
                nn.init.constant_(last.bias, math.log(prior / (1 - prior)))

    def forward(self, feature: Tensor) -> HeadMaps:
        # float() first: in bf16 the probability 1 - 1e-4 is 1.
        return HeadMaps(
            score=self.score(feature).float().sigmoid().clamp(FLOOR, 1 - FLOOR),
            size=self.size(feature).float().sigmoid().clamp(FLOOR, 1 - FLOOR),
            offset=self.offset(feature).float(),
        )

    def best(self, feature: Tensor, weight: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """`decode(self(feature), weight)`, with a sixth of the work for size and offset.

        They are read in one cell, which through four 3x3 convolutions sees 9 x 9 cells. In eval
        mode only: batch statistics need the whole map.
        """
        assert not self.training
        score = self.score(feature).float().sigmoid().clamp(FLOOR, 1 - FLOOR)
        best, cell = best_cell(score if weight is None else score * weight)
        reach = len(self.size) - 1
        near = _around(feature, cell, reach)
        inside = _around(torch.ones_like(feature[:, :1]), cell, reach)
        size = _middle(self.size, near, inside).float().sigmoid().clamp(FLOOR, 1 - FLOOR)
        offset = _middle(self.offset, near, inside).float()
        return torch.cat([(cell + offset) / feature.shape[-1], size], dim=1), best


def decode(maps: HeadMaps, weight: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The box at the best cell: (B, 4) cxcywh as fractions of the crop, and its score (B,).

    weight: (n, n), multiplies the score map first (a window that prefers small motion). The first
    of equal cells wins, row by row. Only the chosen cell of size and offset receives gradient.
    """
    score = maps.score if weight is None else maps.score * weight
    cells = score.shape[-1]
    best, cell = best_cell(score)
    pick = (cell[:, 1:] * cells + cell[:, :1])[:, :, None].expand(-1, 2, 1)
    size = maps.size.flatten(2).gather(2, pick).squeeze(2)
    offset = maps.offset.flatten(2).gather(2, pick).squeeze(2)
    return torch.cat([(cell + offset) / cells, size], dim=1), best


def best_cell(score: Tensor) -> tuple[Tensor, Tensor]:
    """(B, 1, n, n) -> the highest score (B,) and its column and row (B, 2) int64."""
    best, index = score.flatten(1).max(dim=1)
    cells = score.shape[-1]
    return best, torch.stack([index % cells, index // cells], dim=1)


def hann_window(cells: int) -> Tensor:
    """Outer product of 0.5 (1 - cos(2 pi k / (n + 1))), k = 1..n: (cells, cells), never 0."""
    line = torch.hann_window(cells + 2, periodic=False)[1:-1]
    return line[:, None] * line[None, :]


def _around(maps: Tensor, cell: Tensor, reach: int) -> Tensor:
    """(B, C, n, n) -> (B, C, 2 reach + 1, the same) about each (column, row), zeros outside."""
    padded = F.pad(maps, [reach] * 4)
    steps = torch.arange(2 * reach + 1, device=maps.device)
    columns, rows = (cell[:, :, None] + steps).unbind(1)
    places = (rows[:, :, None] * padded.shape[-1] + columns[:, None]).flatten(1)
    found = padded.flatten(2).gather(2, places[:, None].expand(-1, maps.shape[1], -1))
    return found.unflatten(2, (len(steps), len(steps)))


def _middle(tower: nn.Sequential, near: Tensor, inside: Tensor) -> Tensor:
    """What a tower says in the middle of `near` (B, C, 2r + 1, 2r + 1), r its layers: (B, outputs).

    inside: (B, 1, 2r + 1, 2r + 1), 0 where a layer's input is padding, which every layer has anew.
    """
    *layers, last = tower
    for conv, norm, act in layers:
        inside = inside[..., 1:-1, 1:-1]
        near = act(norm(F.conv2d(near, conv.weight, conv.bias))) * inside
    return last(near).flatten(1)


def _tower(embed_dim: int, channels: int, outputs: int) -> nn.Sequential:
    widths = [embed_dim, channels, channels // 2, channels // 4, channels // 8]
    layers: list[nn.Module] = [
        nn.Sequential(nn.Conv2d(narrow, wide, 3, padding=1), nn.BatchNorm2d(wide), nn.ReLU(True))
        for narrow, wide in pairwise(widths)
    ]
    return nn.Sequential(*layers, nn.Conv2d(widths[-1], outputs, 1))
