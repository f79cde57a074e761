"""What is known of an architecture beside its shapes: from the caller, the dialect, the file."""

import re
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from mim_backbones.checkpoints.safe.weights_file import CheckpointError

HEADS_SAID = ('num_heads', 'MODEL.VIT.NUM_HEADS', 'encoder_num_heads')
SIZE_SAID = ('input_size', 'img_size', 'image_size', 'DATA.IMG_SIZE', 'crop_size')


@dataclass(frozen=True)
class Hints:
    """What is known of one checkpoint.

    Attributes:
        name: of the checkpoint, for messages.
        asked: constructor arguments the caller gave.
        implied: constructor arguments the dialect implies.
        said: what the file says about itself.
    """

    name: str
    asked: dict[str, Any] = field(default_factory=dict)
    implied: dict[str, Any] = field(default_factory=dict)
    said: dict[str, Any] = field(default_factory=dict)

    def num_heads(self) -> int | None:
        """The caller's word first, then the file's, then the dialect's."""
        if 'num_heads' in self.asked:
            return int(self.asked['num_heads'])
        for key in HEADS_SAID:
            if isinstance(self.said.get(key), int):
                return int(self.said[key])
        return self.implied.get('num_heads')

    def img_size(self) -> tuple[int, int] | None:
        """(H, W) in pixels, where the file says it."""
        for key in SIZE_SAID:
            value = self.said.get(key)
            sides = [value, value] if isinstance(value, int) else value
            if isinstance(sides, list | tuple) and [type(side) for side in sides] == [int, int]:
                return sides[0], sides[1]
        return None

    def small_vit_heads(self, width: int) -> int | None:
        """Heads by the model name the file records, for widths that exist with several.

        `deit_tiny`, `vit_small` of DINO: 64 channels a head; MAE-Lite's `mae_vit_tiny`: 12 heads.
        """
        named = ' '.join(str(self.said.get(key, '')) for key in ('model', 'arch', 'model_name'))
        if re.search(r'deit', named):
            return width // 64
        if re.search(r'mae_vit_(tiny|small)', named):
            return 12
        return None


def require(state: dict[str, Tensor], wanted: dict[str, int], name: str) -> None:
    """Raises CheckpointError when a tensor of `wanted` is absent or has other axes than stated."""
    for key, axes in wanted.items():
        if key not in state:
            raise CheckpointError(f'checkpoint {name} lacks {key}; it holds no whole backbone')
        if state[key].ndim != axes:
            shape = tuple(state[key].shape)
            raise CheckpointError(f'checkpoint {name}: {key} has shape {shape}, not {axes} axes')
