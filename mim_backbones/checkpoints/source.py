"""A checkpoint as one flat table of tensors and what it says about itself.

Wrappers become prefixes (`model.`, `state_dict.`, `teacher.`); what wrapping a module adds to its
names (DDP, FSDP, `torch.compile`) is taken away. Nothing is interpreted here.

`timm:NAME` and `timm:NAME@FILE` are a timm model, its names and its own word on heads and size.
"""

import socket
from argparse import Namespace
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

import numpy as np
import torch
from torch import Tensor

from mim_backbones.checkpoints.safe.weights_file import CheckpointError, read_weights_file
from mim_backbones.checkpoints.timm_config import said_by

# Segments that wrapping adds: DDP and BEiT v2's file level; torch.compile; FSDP; recomputation.
TRANSPARENT = {'module', '_orig_mod', '_fsdp_wrapped_module', '_checkpoint_wrapped_module'}
# Containers of a training state that hold tensors which are no weights.
TRAINING_STATE = {
    'optimizer', 'optimizers', 'optimizer_state', 'optimizer_states', 'scaler', 'loss_scaler',
    'grad_scaler', 'amp', 'lr_scheduler', 'lr_schedulers', 'scheduler', 'param_schedulers',
    'message_hub', 'callbacks', 'loops', 'rng_state', 'rng', 'meta', 'args', 'config',
}  # fmt: skip
DEEPEST = 4
REACHED_WITHIN = 5.0  # seconds
TIMM = 'timm:'


@dataclass(frozen=True)
class Content:
    """What a checkpoint holds.

    Attributes:
        name: file name, 'timm:NAME' or 'state dict', for messages.
        tensors: every tensor under its full name.
        said: scalars the file says about its model (argparse arguments, a yacs config, ...),
            nested dicts joined by dots.
        record: what a pre-training of this project recorded, None elsewhere.
    """

    name: str
    tensors: dict[str, Tensor]
    said: dict[str, Any] = field(default_factory=dict)
    record: dict[str, Any] | None = None


Source = str | Path | Mapping[str, Any] | Content


def open_source(source: Source, trust: bool = False) -> Content:
    """File, state dict (perhaps still wrapped) or `timm:NAME` -> its content; opened ones stay.

    Args:
        trust: see `read_weights_file`.

    Raises:
        CheckpointError: the file cannot be read, or holds no tensors.
    """
    if isinstance(source, Content):
        return source
    if isinstance(source, str) and source.startswith(TIMM):
        return open_timm(source)
    if isinstance(source, Mapping):
        return content_of(source, 'state dict')
    return content_of(read_weights_file(source, trust), str(source))


def content_of(checkpoint: Mapping[str, Any], name: str) -> Content:
    """Raises CheckpointError when there are no tensors."""
    tensors: dict[str, Tensor] = {}
    _collect(checkpoint, '', tensors, DEEPEST, name)
    if not tensors:
        shown = ', '.join(str(key) for key in list(checkpoint)[:5])
        raise CheckpointError(f'checkpoint {name} holds no tensors; its keys: {shown or "none"}')
    meta = checkpoint.get('meta')
    record = meta.get('mimbench') if isinstance(meta, Mapping) else None
    return Content(
        name=name,
        tensors=tensors,
        said=_statements(checkpoint),
        record=dict(record) if isinstance(record, Mapping) else None,
    )


def _collect(
    content: Mapping[Any, Any], prefix: str, found: dict[str, Tensor], depth: int, name: str
) -> None:
    for key, value in content.items():
        if not isinstance(key, str) or (not prefix and key in TRAINING_STATE):
            continue
        if isinstance(value, np.ndarray) and value.dtype.kind == 'f':
            value = torch.from_numpy(value.copy())  # unpickled arrays may be read-only
        if isinstance(value, Tensor):
            full = '.'.join(s for s in f'{prefix}{key}'.split('.') if s not in TRANSPARENT)
            if full in found:
                raise CheckpointError(f'checkpoint {name} holds {full} twice, under two wrappers')
            found[full] = value.detach()
        elif isinstance(value, Mapping) and depth:
            _collect(value, f'{prefix}{key}.', found, depth - 1, name)


def _statements(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = {}
    for key in ('args', 'config', 'cfg', 'hyper_parameters'):
        value = checkpoint.get(key)
        _flatten(vars(value) if isinstance(value, Namespace) else value, '', said, DEEPEST)
    for key in ('arch', 'architecture', 'model_name'):
        if isinstance(checkpoint.get(key), str):
            said[key] = checkpoint[key]
    return said


def _flatten(value: Any, prefix: str, said: dict[str, Any], depth: int) -> None:
    if not isinstance(value, Mapping) or not depth:
        return
    for key, inner in value.items():
        if isinstance(inner, str | int | float | bool | list | tuple):
            said[f'{prefix}{key}'] = inner
        else:
            _flatten(inner, f'{prefix}{key}.', said, depth - 1)


def open_timm(source: str) -> Content:
    """A pretrained timm model (downloaded or cached), or that model with the weights of FILE.

    Raises:
        CheckpointError: timm does not know the name, its weights cannot be had, or FILE cannot be
            read.
    """
    name, separator, file = source.removeprefix(TIMM).partition('@')
    if separator:
        tensors = content_of(read_weights_file(file), source).tensors
        return Content(source, tensors, said_by(create_timm_model(name, pretrained=False)))
    model = create_timm_model(name, pretrained=True)
    state: dict[str, Tensor] = model.state_dict()
    return Content(source, dict(state), said_by(model))


def create_timm_model(name: str, pretrained: bool) -> Any:
    """timm's model; without weights it stays on the meta device."""
    import timm

    if not timm.is_model(name.split('.')[0]):
        raise CheckpointError(f'timm knows no model {name!r}; see timm.list_models()')
    if not pretrained:
        with torch.device('meta'):
            return timm.create_model(name, pretrained=False)
    try:
        with offline_where_no_network():
            return timm.create_model(name, pretrained=True)
    except Exception as error:
        # Hub clients raise their own, requests', httpx' and urllib's errors here.
        why = str(error).strip().splitlines()
        raise CheckpointError(
            f'timm: the weights of {name} cannot be had ({why[0] if why else type(error).__name__}'
            f'); download them and give timm:{name}@FILE'
        ) from error


@contextmanager
def offline_where_no_network() -> Iterator[None]:
    """Let the hub look into its cache alone when it cannot be reached; else it asks for a minute.

    Behind a proxy, which may reach it, it asks.
    """
    from huggingface_hub import constants

    address = urlsplit(constants.ENDPOINT)
    before = constants.HF_HUB_OFFLINE
    if not getproxies():
        try:
            port = address.port or 443
            socket.create_connection((address.hostname, port), timeout=REACHED_WITHIN).close()
        except OSError:
            constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
