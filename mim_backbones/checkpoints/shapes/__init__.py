"""What backbone a state dict in our names belongs to, read from its shapes."""

from typing import Any

from torch import Tensor

from mim_backbones.checkpoints.shapes.hiera import hiera_arguments, hiera_name
from mim_backbones.checkpoints.shapes.hints import Hints
from mim_backbones.checkpoints.shapes.swin import swin_arguments, swin_name
from mim_backbones.checkpoints.shapes.vit import vit_arguments, vit_name

State = dict[str, Tensor]
READERS = {
    'vit': (vit_arguments, vit_name),
    'swin': (swin_arguments, swin_name),
    'hiera': (hiera_arguments, hiera_name),
}


def architecture_arguments(family: str, state: State, hints: Hints) -> dict[str, Any]:
    """Registry type and constructor arguments.

    Raises:
        CheckpointError: the weights are not whole, or a number has to be asked for.
    """
    return READERS[family][0](state, hints)


def architecture_name(family: str, state: State) -> str:
    """For people: sizes that shapes show, 'ViT 768 wide, 12 deep, patch 16'."""
    return READERS[family][1](state)
