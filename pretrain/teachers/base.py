"""What every teacher is: an image in [0, 1] to patch features, with a resolution of its own."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from mim_backbones.errors import UserError
from mim_backbones.images.normalise import IMAGENET_MEAN, IMAGENET_STD, Normalise

Grid = tuple[int, int]


class Features(NamedTuple):
    """patches (B, N, T), raster order; whole (B, T), of the image as a whole, or None.

    Where several blocks are read, (K, B, N, T) and (K, B, T), the earliest block first.
    importance (B, N): see `Teacher.look`, None unless it was asked for.
    """

    patches: Tensor
    whole: Tensor | None = None
    importance: Tensor | None = None


class Teacher(nn.Module):
    """image (B, 3, H, W) in [0, 1], RGB -> `Features`. Never leaves eval mode.

    Args:
        input_size: side in pixels of what the network sees; images of another size are resized
            (bicubic, antialiased).
        mean, std: per channel, of images in [0, 1].

    Attributes:
        embed_dim: T.
        grid: (h, w), N = h * w, of an input of `input_size`.
        whole: whether features of the whole image come beside.
        blocks: which are read, from 0 on.
    """

    embed_dim: int
    grid: Grid
    whole = False
    blocks: tuple[int, ...] = (-1,)

    def __init__(
        self,
        input_size: int,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.normalise = Normalise(mean, std)
        self.statistics = (tuple(mean), tuple(std))
        self.eval()

    def look(self) -> None:
        """From now on `features` say how much the CLS token attends to each patch in the last
        block, the mean of its heads.

        Raises:
            ValueError: the teacher has no such attention.
        """
        raise ValueError(f'{type(self).__name__} has no CLS token whose attention could be read')

    @property
    def num_blocks(self) -> int:
        return len(self.blocks)

    def train(self, mode: bool = True) -> 'Teacher':
        """Stays in eval mode whatever its owner does: statistics do not move, nothing drops out."""
        return super().train(False)

    def forward(self, image: Tensor) -> Features:
        return self.features(self.prepare(image))

    def prepare(self, image: Tensor) -> Tensor:
        """What the network sees: resized, normalised."""
        side = (self.input_size, self.input_size)
        if tuple(image.shape[-2:]) != side:
            image = F.interpolate(image, side, mode='bicubic', antialias=True).clamp(0, 1)
        return self.normalise(image)

    @abstractmethod
    def features(self, image: Tensor) -> Features:
        """image (B, 3, S, S) normalised."""

    def facts(self) -> dict[str, Any]:
        """How its weights are read: what a fingerprint covers beside them, in words for a log."""
        mean, std = ([round(value, 6) for value in values] for values in self.statistics)
        blocks = list(self.blocks)
        return {'blocks': blocks, 'input_size': self.input_size, 'mean': mean, 'std': std}


def numbered(teacher: str, blocks: Sequence[int], count: int) -> tuple[int, ...]:
    """Blocks counted from 0, in the order they run; negative ones count from the end.

    Raises:
        UserError: none, one that is not there, or one named twice.
    """
    known = [block % count for block in blocks if -count <= block < count]
    if not blocks or len(set(known)) < len(blocks):
        raise UserError(
            f'{teacher}: blocks={tuple(blocks)}; name different ones of its {count}, from 0 to '
            f'{count - 1}, or from -1 backwards'
        )
    return tuple(sorted(known))


def one_shape(teacher: str, maps: Mapping[int, Sequence[int]]) -> tuple[int, Grid]:
    """Width and grid of the maps (T, h, w) of some blocks, by block.

    Raises:
        UserError: they differ; the message names both grids.
    """
    (first, shape), *others = maps.items()
    for block, other in others:
        if tuple(other) != tuple(shape):
            raise UserError(
                f'{teacher}: block {first} gives a {as_text(shape)} and block {block} a '
                f'{as_text(other)}; read blocks of one stage'
            )
    width, rows, columns = shape
    return width, (rows, columns)


def as_text(shape: Sequence[int]) -> str:
    width, rows, columns = shape
    return f'{rows}x{columns} grid of {width} channels'


def features_of(patches: Sequence[Tensor], whole: Sequence[Tensor] | None = None) -> Features:
    """Of each block, patches (B, N, T) and the whole (B, T); by default the mean patch."""
    whole = [x.mean(1) for x in patches] if whole is None else whole
    if len(patches) == 1:
        return Features(patches[0], whole[0])
    return Features(torch.stack(list(patches)), torch.stack(list(whole)))


def packed(found: Features) -> Tensor:
    """Rows (B, K * (1 + N), T): of each block the whole, if there is one, and the patches."""
    patches = found.patches if found.patches.dim() == 4 else found.patches[None]
    if found.whole is not None:
        whole = found.whole if found.whole.dim() == 3 else found.whole[None]
        patches = torch.cat([whole[:, :, None], patches], dim=2)
    return patches.transpose(0, 1).flatten(1, 2)


def unpacked(rows: Tensor, num_blocks: int, whole: bool) -> Features:
    """The features that were `packed`."""
    blocks = rows.unflatten(1, (num_blocks, -1)).transpose(0, 1)  # (K, B, 1 + N, T)
    blocks = blocks if num_blocks > 1 else blocks[0]
    if not whole:
        return Features(blocks)
    return Features(blocks[..., 1:, :], blocks[..., 0, :])
