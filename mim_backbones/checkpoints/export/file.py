"""A backbone -> a file in our or another library's names, with what it takes to read it back."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn as nn
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import Registry
from torch import Tensor

from mim_backbones.backbones.base import MIMBackbone
from mim_backbones.checkpoints.agreement import family_of
from mim_backbones.checkpoints.export.openmmlab import openmmlab_state
from mim_backbones.checkpoints.export.timm import timm_state
from mim_backbones.checkpoints.load import from_checkpoint
from mim_backbones.checkpoints.report import LoadReport
from mim_backbones.checkpoints.source import Source, open_source
from mim_backbones.console.atomic_file import write_atomically
from mim_backbones.errors import UserError
from mim_backbones.registry import SCOPE

State = dict[str, Tensor]
FORMS = ('mimbench', 'timm', 'openmmlab', 'safetensors')
SAFETENSORS = '.safetensors'
INNER_NORMS = ('.attn.norm.', '.attn.q_norm.', '.mlp.norm.')
SUFFIXES = ('.pth', '.pt', '.bin', SAFETENSORS)


def save_backbone(backbone: MIMBackbone, path: str | Path, **meta: Any) -> Path:
    """Write weights, class and all constructor options: `from_checkpoint(path)` needs no hints.

    Args:
        path: ends in .pth, .pt, .bin or .safetensors; written whole or not at all.
        meta: what else the file shall record (method='...', epochs=...), for JSON.

    Raises:
        UserError: another ending, a class in no registry, or `path` cannot be written.
    """
    return write_backbone(backbone, Path(path), 'mimbench', meta)


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
    if form == 'safetensors' and target.suffix != SAFETENSORS:
        name = f'{target.stem}{SAFETENSORS}'
        raise UserError(f'--to safetensors: call the file {name}, not {target.name}')
    content = open_source(source, trust)
    backbone, report = from_checkpoint(content, weights=weights, **overrides)
    write_backbone(backbone, target, form, content.record or {})
    return report


def write_backbone(
    backbone: MIMBackbone, target: Path, form: str, record: Mapping[str, Any]
) -> Path:
    """The weights in the names of `form`; `record` and the backbone's options beside them."""
    if target.suffix not in SUFFIXES:
        raise UserError(f'{target}: call it *{", *".join(SUFFIXES[:-1])} or *{SUFFIXES[-1]}')
    refuse_lost(backbone, form)
    state = named(family_of(backbone), backbone.state_dict(), form)
    full = {**record, 'backbone': {'type': registered_name(backbone), **backbone.built_with}}
    module = type(backbone).__module__
    if module.partition('.')[0] != SCOPE:
        full['custom_imports'] = sorted({*full.get('custom_imports', ()), module})
    if target.suffix == SAFETENSORS:
        return write_safetensors(target, state, full)
    content = {'state_dict': state, 'meta': {'mimbench': full}}
    return write_atomically(target, lambda stream: torch.save(content, stream))


def refuse_lost(backbone: MIMBackbone, form: str) -> None:
    """Raises UserError when a ViT computes what the other library's under those names does not."""
    if family_of(backbone) != 'vit' or form not in ('timm', 'openmmlab'):
        return
    # timm's models with rotary positions name the parts of a block each in a way of its own.
    lost = ['rope'] if backbone.rope is not None else []
    if form == 'openmmlab':
        has = {
            'norm_pre': not isinstance(backbone.norm_pre, nn.Identity),
            'patch_bias=False': backbone.patch_embed.proj.bias is None,
            f'act={backbone.act!r}': backbone.act not in ('gelu', None),
            "mlp='swiglu'": backbone.act is None,
            'norms inside of blocks': any(
                part in key for key in backbone.state_dict() for part in INNER_NORMS
            ),
        }
        lost += [name for name, there in has.items() if there]
    if lost:
        library = {'timm': "timm's ViT", 'openmmlab': "OpenMMLab's ViT"}[form]
        raise UserError(
            f'{library} has no place for {", ".join(lost)}; convert to mimbench or safetensors'
        )


def named(family: str, state: State, form: str) -> State:
    """The state dict in the names of `form`, every tensor with memory of its own."""
    if form == 'timm':
        state = timm_state(family, state)
    elif form == 'openmmlab':
        state = openmmlab_state(family, state)
    else:
        state = {f'backbone.{key}': value for key, value in state.items()}
    return {key: value.detach().clone().contiguous() for key, value in state.items()}


def registered_name(backbone: MIMBackbone) -> str:
    """The `type` by which a config names the backbone's class, with its scope.

    Raises:
        UserError: it is in no registry.
    """
    kind = type(backbone)
    waiting: list[Registry] = [ROOT_MODELS]
    while waiting:
        registry = waiting.pop()
        if registry.module_dict.get(kind.__name__) is kind:
            return f'{registry.scope}.{kind.__name__}'
        waiting += registry.children.values()
    raise UserError(
        f'{kind.__name__} is in no registry, so that no file can name it; decorate it with '
        'MODELS.register_module()'
    )


def write_safetensors(target: Path, state: State, record: Mapping[str, Any]) -> Path:
    """The record goes into the header, as JSON."""
    from safetensors.torch import save

    data = save(state, metadata={'format': 'pt', 'mimbench': json.dumps(record, default=str)})
    return write_atomically(target, lambda stream: stream.write(data))
