"""One checkpoint -> a file in another library's names, with what it takes to read it back."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mim_backbones.checkpoints.export.openmmlab import openmmlab_state
from mim_backbones.checkpoints.export.timm import timm_state
from mim_backbones.checkpoints.load import FAMILIES, arguments, load, translate
from mim_backbones.checkpoints.report import LoadReport
from mim_backbones.checkpoints.source import Source, open_source
from mim_backbones.console.atomic_file import write_atomically
from mim_backbones.errors import UserError
from mim_backbones.registry import MODELS

State = dict[str, Tensor]
FORMS = ('mimbench', 'timm', 'openmmlab', 'safetensors')
SUFFIX = '.safetensors'


def convert(
    source: Source,
    target: Path,
    form: str,
    trust: bool = False,
    weights: str = 'auto',
    **overrides: Any,
) -> LoadReport:
    """Write the backbone of `source` to `target`; whole and checked, or not at all.

    The backbone's arguments are stored beside the weights, which need not show them all.

    Args:
        form: whose names, one of `FORMS`; 'safetensors' are ours in that format, which the
            others get too when `target` ends in .safetensors.
        trust, weights, overrides: see `from_checkpoint`.

    Raises:
        CheckpointError: `source` cannot be read, or does not cover a backbone.
        UserError: the names have no place for this backbone, or `target` cannot be written.
    """
    if form == 'safetensors' and target.suffix != SUFFIX:
        raise UserError(f'--to safetensors: call the file {target.stem}{SUFFIX}, not {target.name}')
    opened = translate(open_source(source, trust), weights)
    config = arguments(opened, overrides)
    backbone = MODELS.build(config)
    report = load(backbone, opened, strict=True)
    record = {**(opened.model.record or {}), 'backbone': config}
    state = named(FAMILIES[type(backbone).__name__], backbone.state_dict(), form)
    if target.suffix == SUFFIX:
        write_safetensors(target, state, record)
    else:
        content = {'state_dict': state, 'meta': {'mimbench': record}}
        write_atomically(target, lambda stream: torch.save(content, stream))
    return report


def named(family: str, state: State, form: str) -> State:
    """The state dict in the names of `form`, every tensor with memory of its own."""
    if form == 'timm':
        state = timm_state(family, state)
    elif form == 'openmmlab':
        state = openmmlab_state(family, state)
    else:
        state = {f'backbone.{key}': value for key, value in state.items()}
    return {key: value.detach().clone().contiguous() for key, value in state.items()}


def write_safetensors(target: Path, state: State, record: dict[str, Any]) -> None:
    """The record goes into the header, as JSON."""
    from safetensors.torch import save

    data = save(state, metadata={'format': 'pt', 'mimbench': json.dumps(record, default=str)})
    write_atomically(target, lambda stream: stream.write(data))
