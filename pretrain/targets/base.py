"""What every method predicts: the one interface between a target, its data set and its head.

    view -> values -> aligned to the student's grid -> normalised   here
    hidden positions -> selector -> loss                            losses.py, named in the recipe

A target is one file: it says what it needs and gives in its attributes, fits itself to the student
in `bind`, and answers images in `forward`. Nets that only answer live in a `Frozen` (frozen.py);
what follows the student is a submodule without gradients, moved by `update`.
"""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn as nn
from torch import Tensor

from mim_backbones.backbones.base import MIMBackbone
from mim_backbones.errors import UserError
from pretrain.images.dataset import View
from pretrain.images.feature_cache import FeatureCache
from pretrain.images.token_cache import TokenCache
from pretrain.registry import MODELS, build

Grid = tuple[int, int]


class Wanted(NamedTuple):
    """What a student must predict of a batch.

    values: by the target's kind
        'pixels', 'features'  (B, width, h, w) float; of visible tokens (B, width, N)
        'ids'                 (B, h, w) or (B, G, h, w) int64, G groups of width / G classes
        'distribution'        (B, width, h, w) float, sums to 1 over the second axis
        'relations'           (B, heads, N, N) float, of all pairs of tokens
    whole: (B, width), of the image as a whole; None where the target has none.
    importance: (B, h, w), how much what knows the image looks at each place; None where nothing
        says so.
    """

    values: Tensor
    whole: Tensor | None = None
    importance: Tensor | None = None


@dataclass(frozen=True)
class Student:
    """What a target has to fit. img_size: in pixels; stride: pixels per token of the last map."""

    name: str
    img_size: Grid
    stride: int

    @property
    def grid(self) -> Grid:
        return self.img_size[0] // self.stride, self.img_size[1] // self.stride


def student_of(backbone: MIMBackbone) -> Student:
    rows, columns = backbone.grid
    size = (rows * backbone.patch_size, columns * backbone.patch_size)
    return Student(type(backbone).__name__, size, backbone.stride)


class Progress(NamedTuple):
    """How far a training is, in steps of the optimizer: done, in all, and in each epoch."""

    done: int
    total: int
    per_epoch: int

    @property
    def share(self) -> float:
        """What is done of the training, 0 to 1."""
        return self.done / self.total


class Target(nn.Module):
    """RGB (B, 3, H, W) in [0, 1] -> `Wanted`; no gradient, no randomness.

    One that says other things of a token when others are hidden takes `keep` too (relations.py).

    Attributes:
        kind: of values, see `Wanted`.
        width: what the head gives at each position: channels, or groups times classes.
        view: None: the student's own image; else the same crop as the data set shall give it.
        known: ids or features of every image, in place of asking the target; the data set brings
            them, features for `stored` to read.
        state: 'none'; 'frozen': nets that only answer, whose `fingerprint` checkpoints keep; 'ema'
            and 'stage': weights that follow the student by `update`, in the checkpoint as well.
        files: files of weights that it depends on.
        option: where a recipe says its nets, if not where it says the target.
        whole: whether `Wanted.whole` comes beside the values.
        drawable: whether `pixels` can turn predictions into colours.
        grid, stride: positions, and image pixels per position and side; known after `bind`.
    """

    kind: str
    width: int
    view: View | None = None
    known: TokenCache | FeatureCache | None = None
    state = 'none'
    files: tuple[str, ...] = ()
    option: str | None = None
    whole = False
    drawable = False
    grid: Grid
    stride: int

    @abstractmethod
    def bind(self, student: Student) -> None:
        """Fit to a student: set grid and stride, and what depends on them.

        Raises:
            ValueError: it has no such grid; the message names both.
        """

    @abstractmethod
    def forward(self, image: Tensor) -> Wanted:
        """See the class."""

    def start(self, student: nn.Module) -> None:
        """Take a copy of what is to be followed, where `state` is 'ema' or 'stage'.

        When the method is built, and again when it was given weights to start from.
        """

    def stored(self, rows: Tensor) -> Wanted:
        """The same of what a `FeatureCache` has on file, (B, rows, T), in place of images."""
        raise UserError(f'{type(self).__name__} keeps no features on file')

    def update(self, student: nn.Module, progress: Progress) -> None:
        """After every step of the optimizer, where `state` is 'ema' or 'stage'.

        Args:
            student: the whole method, which at the end of a stage may be drawn anew.
            progress: this step counted as done.
        """

    def pixels(self, pred: Tensor, image: Tensor) -> Tensor:
        """Predictions (B, width, h, w) as colours (B, 3, h, w) in [0, 1]; image as in `forward`.

        Raises:
            UserError: this kind of prediction has no colours.
        """
        raise UserError(
            f'{type(self).__name__}: its predictions are no colours, so there is nothing to draw'
        )

    @classmethod
    def without_files(cls, config: dict[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
        """The config to load a checkpoint with, which needs no file but that.

        Args:
            facts: what `facts` said when the checkpoint was written; empty where none did.
        """
        needed = cls.state == 'none' or not facts
        return config if needed else {'type': 'AbsentTarget', **facts}

    def facts(self) -> dict[str, Any]:
        """What a checkpoint's record says of it."""
        return {
            'kind': self.kind, 'width': self.width, 'stride': self.stride, 'whole': self.whole,
        }  # fmt: skip

    def reading(self) -> dict[str, Any]:
        """How its frozen nets are read (blocks, norms, resolution): what a fingerprint covers
        beside weights, in words for logs and checkpoints."""
        return {}

    def keep_fingerprint(self, digest: Tensor) -> None:
        """Have checkpoints remember the frozen nets: (32,) uint8, zeros for unknown ones."""
        self.register_buffer('fingerprint', digest.clone())

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args: Any) -> None:
        own = self._buffers.get('fingerprint')
        if own is not None and not same_nets(state_dict.get(f'{prefix}fingerprint'), own):
            option = self.option or f'model.{prefix}'.removesuffix('.')
            read = ', '.join(f'{name} {value}' for name, value in self.reading().items())
            here = f', or on what it says when it is read otherwise (here: {read})' if read else ''
            raise UserError(
                f'the checkpoint was trained on the {self.kind} of another net than {option} '
                f'loads{here}; give that one, or start anew without --resume'
            )
        super()._load_from_state_dict(state_dict, prefix, *args)


@MODELS.register_module()
class AbsentTarget(Target):
    """Stands where a frozen target was: knows what it gave, and cannot say anything itself.

    Args:
        kind, width, stride, whole: of the target; stride None is the student's.
    """

    def __init__(
        self, kind: str, width: int, stride: int | None = None, whole: bool = False
    ) -> None:
        super().__init__()
        self.kind, self.width, self.stride, self.whole = kind, width, stride, whole
        self.keep_fingerprint(torch.zeros(32, dtype=torch.uint8))

    def bind(self, student: Student) -> None:
        self.stride = self.stride or student.stride
        self.grid = pixel_grid(self, student)

    def forward(self, image: Tensor) -> Wanted:
        raise UserError('this model was loaded to predict, without its target')


def bound_target(config: dict[str, Any] | Target, backbone: MIMBackbone) -> Target:
    """The target of a recipe, fitted to its backbone.

    Raises:
        ValueError: it does not fit; the message names both grids.
        UserError: what it refuses, missing weights among it.
    """
    target = config if isinstance(config, Target) else build(MODELS, config)
    if not isinstance(target, Target):
        raise ValueError(f'model.target: {type(target).__name__} is no target')
    target.bind(student_of(backbone))
    return target


def pixel_grid(target: Target, student: Student) -> Grid:
    """Positions of a target that has one per `stride` pixels.

    Raises:
        ValueError: the stride does not divide the image.
    """
    height, width = student.img_size
    if height % target.stride or width % target.stride:
        raise ValueError(
            f'{type(target).__name__} has a position per {target.stride} px, which do not divide '
            f'the {height}x{width} px of {student.name}'
        )
    return height // target.stride, width // target.stride


def check_grid(what: str, grid: Grid, student: Student, mend: str) -> None:
    """Raises ValueError naming both grids unless they agree."""
    if tuple(grid) != student.grid:
        raise ValueError(
            f'{what} gives a {as_text(grid)} grid, {student.name} has {as_text(student.grid)} '
            f'tokens; {mend}'
        )


def same_nets(one: Tensor | None, other: Tensor) -> bool:
    """Whether two fingerprints may be of one net; an unknown one (None, zeros) may be any."""
    return one is None or not one.any() or not other.any() or torch.equal(one.cpu(), other.cpu())


def files_in(config: Any) -> tuple[str, ...]:
    """Paths of files that a config names, wherever in it."""
    if isinstance(config, Mapping):
        config = list(config.values())
    if isinstance(config, list | tuple):
        return tuple(file for part in config for file in files_in(part))
    return (config,) if isinstance(config, str) and Path(config).is_file() else ()


def multiple(fine: Grid, coarse: Grid) -> bool:
    """Whether squares of cells of the one grid make up the cells of the other."""
    side = fine[0] // coarse[0]
    return tuple(fine) == (side * coarse[0], side * coarse[1])


def as_text(grid: Grid) -> str:
    return f'{grid[0]}x{grid[1]}'
