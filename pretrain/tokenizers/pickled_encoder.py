"""OpenAI's encoder.pkl without running it: a pickled module, read as the tensors in it.

The file names classes of the `dall_e` package and of torch. They are looked up nowhere: objects
without behaviour stand in for them, and only their attributes are read.
"""

import pickle
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mim_backbones.checkpoints.safe.inert import allowed_globals
from mim_backbones.checkpoints.safe.weights_file import (
    UNREADABLE,
    CheckpointError,
    only_globals,
    read_weights_file,
    refused_global,
)
from mim_backbones.checkpoints.source import content_of

WANTED = (
    "DALL-E's encoder.pkl (https://cdn.openai.com/dall-e/encoder.pkl), or its state dict saved "
    'where the dall_e package is installed: torch.save(torch.load("encoder.pkl", '
    'weights_only=False).state_dict(), "encoder.pth")'
)
PICKLED_CLASSES = (
    'dall_e.encoder.Encoder',
    'dall_e.encoder.EncoderBlock',
    'dall_e.utils.Conv2d',
    'torch.nn.modules.container.Sequential',
    'torch.nn.modules.activation.ReLU',
    'torch.nn.modules.pooling.MaxPool2d',
    'torch.nn.modules.linear.Identity',
)
NAMES = {'w': 'weight', 'b': 'bias'}  # the published names of a convolution's two tensors


class InertModule:
    """Stands in for a pickled module: attributes only."""


def read_dalle_encoder(path: str | Path) -> dict[str, Tensor]:
    """Weights under the published names (`blocks.group_1.block_1...`), w and b spelt out.

    Raises:
        CheckpointError: no such file, a file that asks for anything else, or another network.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f'DalleTokenizer: {path} does not exist; give {WANTED}')
    tensors = _tensors(path)
    state = {}
    for key, value in tensors.items():
        owner, _, name = key.rpartition('.')
        state[f'{owner}.{NAMES.get(name, name)}'] = value.float()
    if not {'blocks.input.weight', 'blocks.output.conv.weight'} <= state.keys():
        raise CheckpointError(f'DalleTokenizer: {path} is no DALL-E encoder; give {WANTED}')
    return state


def _tensors(path: Path) -> dict[str, Tensor]:
    if path.suffix == '.safetensors':
        return content_of(read_weights_file(path), str(path)).tensors
    stand_ins = [(InertModule, name) for name in PICKLED_CLASSES]
    try:
        with only_globals([*allowed_globals(), *stand_ins]), warnings.catch_warnings():
            warnings.simplefilter('ignore', UserWarning)  # our one line says more
            content = torch.load(path, map_location='cpu', weights_only=True)
    except (pickle.UnpicklingError, *UNREADABLE) as error:
        asked = refused_global(path, error) if isinstance(error, pickle.UnpicklingError) else None
        why = f'asks to run {asked}' if asked else 'is corrupt or truncated'
        raise CheckpointError(f'DalleTokenizer: {path} {why}; give {WANTED}') from error
    if isinstance(content, InertModule):
        return module_tensors(content)
    if isinstance(content, dict):
        return content_of(content, str(path)).tensors
    raise CheckpointError(f'DalleTokenizer: {path} holds no weights; give {WANTED}')


def module_tensors(module: Any, prefix: str = '') -> dict[str, Tensor]:
    """Parameters of a stand-in and of what it holds, under the names a state dict has."""
    held = vars(module)
    found = {prefix + key: value.detach() for key, value in held.get('_parameters', {}).items()}
    for key, child in held.get('_modules', {}).items():
        found |= module_tensors(child, f'{prefix}{key}.')
    return found
