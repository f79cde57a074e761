"""What is known of an architecture beside its shapes: from the caller, the dialect, the file."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from mim_backbones.backbones.layers.pos_embed import Grid
from mim_backbones.checkpoints.safe.weights_file import CheckpointError

HEADS_SAID = ('num_heads', 'MODEL.VIT.NUM_HEADS', 'encoder_num_heads')
SIZE_SAID = ('input_size', 'img_size', 'image_size', 'DATA.IMG_SIZE', 'crop_size')

Size = Mapping[str, Any]  # embed_dim, depth or depths, num_heads


@dataclass(frozen=True)
class Hints:
    """What is known of one checkpoint.

    Attributes:
        name: of the checkpoint, for messages.
        dialect: whose names it has, for messages.
        asked: constructor arguments the caller gave.
        implied: constructor arguments the dialect implies.
        head_width: channels of a head in the dialect's small ViTs, where they all have the same.
        said: what the file says about itself.
        grid: patch grid (H, W) of the position tables, where the caller gave it.
        guesses: lines for the report, added here: what shapes did not show.
    """

    name: str
    dialect: str = ''
    asked: dict[str, Any] = field(default_factory=dict)
    implied: dict[str, Any] = field(default_factory=dict)
    head_width: int | None = None
    said: dict[str, Any] = field(default_factory=dict)
    grid: Grid | None = None
    guesses: list[str] = field(default_factory=list)

    def agreed(self, found: Size, size_of: Callable[[Any], Size]) -> dict[str, Any]:
        """The sizes the file shows with those the caller gave as `arch` or `num_heads`.

        Args:
            size_of: the sizes behind an `arch`.

        Raises:
            CheckpointError: they contradict each other; names both.
        """
        given = {}
        if 'arch' in self.asked:
            try:
                arch = size_of(self.asked['arch'])
            except ValueError as error:
                raise CheckpointError(f'checkpoint {self.name}: {error}') from error
            given = {key: (value, f'arch={self.asked["arch"]!r}') for key, value in arch.items()}
        if 'num_heads' in self.asked:
            heads = self.asked['num_heads']
            if 'num_heads' in given and plain(given['num_heads'][0]) != plain(heads):
                raise CheckpointError(
                    f'num_heads={heads} contradicts {given["num_heads"][1]}, which has '
                    f'{given["num_heads"][0]}; leave one of them out'
                )
            given['num_heads'] = (heads, 'the given value')
        for key, (value, where) in given.items():
            if key in found and plain(found[key]) != plain(value):
                raise CheckpointError(
                    f'checkpoint {self.name} has {key}={found[key]}, and {where} says {value}; '
                    'leave it out'
                )
        return {**found, **{key: plain(value) for key, (value, _) in given.items()}}

    def num_heads_said(self) -> int | None:
        """Heads in the file's own words."""
        return next((self.said[k] for k in HEADS_SAID if isinstance(self.said.get(k), int)), None)

    def heads_by_name(self, width: int) -> int | None:
        """Heads of a ViT by the model's name in the file, where a width exists with several.

        `deit_tiny`: 64 channels a head; MAE-Lite's `mae_vit_tiny`: 12 heads.
        """
        named = ' '.join(str(self.said.get(key, '')) for key in ('model', 'arch', 'model_name'))
        if re.search(r'deit', named):
            return width // 64
        return 12 if re.search(r'mae_vit_(tiny|small)', named) else None

    def guess_heads(self, heads: Any, why: str) -> Any:
        """Heads that nothing in the file shows; the report will say so."""
        self.guesses.append(f'num_heads={heads}, {why}; if not: {give("num_heads=N")}')
        return heads

    def img_size(self) -> tuple[int, int] | None:
        """(H, W) in pixels, where the file says it."""
        for key in SIZE_SAID:
            value = self.said.get(key)
            sides = [value, value] if isinstance(value, int) else value
            if isinstance(sides, list | tuple) and [type(side) for side in sides] == [int, int]:
                return sides[0], sides[1]
        return None


def give(option: str) -> str:
    """How to say what a checkpoint does not show, in Python and on the command line."""
    return f'give {option} (--backbone {option} on the command line)'


def named_arch(size: Size, table: Mapping[str, Size]) -> Any:
    """The name of these sizes in a table of `archs`, or the sizes spelled out."""
    return next((name for name, row in table.items() if row == size), dict(size))


def plain(value: Any) -> Any:
    """Lists, as JSON has them, compare with tuples."""
    return tuple(value) if isinstance(value, list) else value


def require(state: dict[str, Tensor], wanted: dict[str, int], name: str) -> None:
    """Raises CheckpointError when a tensor of `wanted` is absent or has other axes than stated."""
    for key, axes in wanted.items():
        if key not in state:
            raise CheckpointError(f'checkpoint {name} lacks {key}; it holds no whole backbone')
        if state[key].ndim != axes:
            shape = tuple(state[key].shape)
            raise CheckpointError(f'checkpoint {name}: {key} has shape {shape}, not {axes} axes')
