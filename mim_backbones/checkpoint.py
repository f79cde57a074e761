"""Checkpoint -> backbone: recognise the keys, resize what depends on the grid, report, refuse gaps.

Here: files of this project and state dicts whose keys already are MIMViT's (MAE, BEiT and
SimMIM's ViT under their usual prefixes). Other dialects come with the loading issue.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn as nn
from torch import Tensor

from mim_backbones.layers.pos_embed import resize_pos_embed
from mim_backbones.layers.rel_pos_bias import CLS_ROWS, resize_rel_pos_table
from mim_backbones.load_report import LoadReport
from mim_backbones.registry import MODELS
from mim_backbones.weights_file import CheckpointError, read_weights_file

Source = str | Path | Mapping[str, Any]
WRAPPERS = ('state_dict', 'model', 'module')
PREFIXES = ('module.', 'backbone.', 'encoder.')
HEADS = ('head.', 'decoder', 'fc_norm.', 'neck.', 'data_preprocessor.', 'mask_token')


def load_pretrained(backbone: nn.Module, source: Source, strict: bool = True) -> LoadReport:
    """Copy the weights of a checkpoint into a backbone, in place.

    Args:
        source: a file, or a state dict (possibly still wrapped in a checkpoint dict).
        strict: raise when a parameter of the backbone stays uncovered.

    Raises:
        CheckpointError: unreadable file, no tensors, wrong shapes, or (strict) parameters left
            uncovered; the backbone is then unchanged.
    """
    content, name = _open(source)
    return _load(backbone, unwrap(content, name), name, strict)


def from_checkpoint(source: Source, **overrides: Any) -> tuple[nn.Module, LoadReport]:
    """Build the backbone a checkpoint of this project was trained with, and load it.

    Args:
        overrides: constructor arguments that replace the recorded ones (img_size, out_indices,
            window_size, drop_path_rate, ...).

    Raises:
        CheckpointError: as `load_pretrained`, or the file does not say what backbone it holds.
    """
    content, name = _open(source)
    config = recorded_backbone(content)
    if config is None:
        raise CheckpointError(
            f'checkpoint {name} does not record its backbone; build one and use load_pretrained'
        )
    backbone = MODELS.build({**config, **overrides})
    return backbone, _load(backbone, unwrap(content, name), name, strict=True)


def recorded_backbone(content: Mapping[str, Any]) -> dict[str, Any] | None:
    """Constructor arguments of the backbone, as pre-training recorded them; None when absent."""
    meta = content.get('meta')
    record = meta.get('mimbench') if isinstance(meta, Mapping) else None
    return dict(record['backbone']) if record else None


def unwrap(content: Mapping[str, Any], name: str) -> dict[str, Tensor]:
    """The tensors of a checkpoint under the backbone's own key names.

    Raises:
        CheckpointError: there are none.
    """
    for wrapper in WRAPPERS:
        if isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    state = {str(key): value for key, value in content.items() if isinstance(value, Tensor)}
    if not state:
        raise CheckpointError(f'checkpoint {name} holds no tensors')
    for prefix in PREFIXES:
        if any(key.startswith(prefix) for key in state):
            state = {
                key.removeprefix(prefix): value
                for key, value in state.items()
                if key.startswith(prefix) or prefix == 'module.'
            }
    return state


def _open(source: Source) -> tuple[Mapping[str, Any], str]:
    if isinstance(source, Mapping):
        return source, 'state dict'
    return read_weights_file(source), str(source)


def _load(backbone: nn.Module, state: dict[str, Tensor], name: str, strict: bool) -> LoadReport:
    report = LoadReport(source=name, dialect='mimbench')
    own = backbone.state_dict()
    new: dict[str, Tensor] = {}
    for key, target in own.items():
        if key not in state:
            report.missing.append(key)
            continue
        value = fit(backbone, key, state[key], target.shape)
        if value.shape != target.shape:
            raise CheckpointError(
                f'checkpoint {name}: {key} has shape {tuple(value.shape)}, the backbone wants '
                f'{tuple(target.shape)}: another architecture'
            )
        if value is state[key]:
            report.loaded.append(key)
        else:
            report.resized[key] = f'{tuple(state[key].shape)} -> {tuple(target.shape)}'
        new[key] = value
    for key in state.keys() - own.keys():
        known = key.startswith(HEADS) or key in ('cls_token', 'norm.weight', 'norm.bias')
        (report.ignored if known else report.unexpected).append(key)
    if report.missing and strict:
        shown = ', '.join(report.missing[:5]) + (' ...' if len(report.missing) > 5 else '')
        raise CheckpointError(
            f'checkpoint {name} covers {report.covered:.0%} of the backbone; '
            f'{len(report.missing)} parameters missing: {shown}'
        )
    backbone.load_state_dict(new, strict=False)
    return report


@torch.no_grad()
def fit(backbone: nn.Module, key: str, value: Tensor, shape: torch.Size) -> Tensor:
    """`value`, resized to `shape` where the key is a position table of a square grid."""
    if key == 'pos_embed':
        prefix = backbone.num_prefix
        source_prefix = value.shape[1] - square_side(value.shape[1]) ** 2
        side = square_side(value.shape[1])
        table = value[:, source_prefix - prefix :] if source_prefix > prefix else value
        if table.shape == shape and table.shape == value.shape:
            return value
        return resize_pos_embed(table, (side, side), backbone.grid, prefix)
    if key.endswith('relative_position_bias_table') and value.shape != shape:
        extra = CLS_ROWS * backbone.num_prefix
        side = (square_side(len(value) - extra) + 1) // 2
        return resize_rel_pos_table(value, (side, side), backbone.grid, extra)
    return value


def square_side(count: int) -> int:
    """Side of the largest square grid of at most `count` cells."""
    return int(count**0.5)
