"""Weights into a module that their file describes."""

from collections.abc import Mapping
from typing import NamedTuple

import torch.nn as nn
from torch import Tensor

from mim_backbones.checkpoints.safe.weights_file import CheckpointError


class Differences(NamedTuple):
    """Names that the module has and the weights lack, and the other way round."""

    missing: list[str]
    unexpected: list[str]


def load_state(module: nn.Module, state: Mapping[str, Tensor], name: str) -> Differences:
    """Load what fits by name.

    Args:
        name: of the checkpoint, for the message.

    Raises:
        CheckpointError: weights of other shapes than the module's.
    """
    try:
        return Differences(*module.load_state_dict(state, strict=False))
    except RuntimeError as error:  # shapes
        why = str(error).splitlines()[-1].strip()
        raise CheckpointError(f'checkpoint {name} is not what it records: {why}') from error
