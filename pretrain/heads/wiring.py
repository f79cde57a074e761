"""A head between a backbone and a target: its sizes follow from both, no recipe repeats them."""

from dataclasses import replace
from typing import Any

import torch.nn as nn

from mim_backbones.backbones.base import MIMBackbone
from pretrain.heads.early_map import EarlyMap
from pretrain.registry import MODELS, build
from pretrain.targets.base import Target, as_text, multiple, student_of


def build_head(
    config: dict[str, Any],
    backbone: MIMBackbone,
    target: Target,
    early: EarlyMap | None = None,
) -> nn.Module:
    """The head of a config, given in_dim, stride and channels beside what the config says.

    Args:
        config: of a head (B, in_dim, h, w) -> (B, channels, h * stride, w * stride).
        early: what the head is given in place of the backbone's last map.

    Raises:
        ValueError: the config names other numbers than backbone and target have, or positions of
            the target and of the backbone's last map are not whole numbers of each other.
    """
    encoder, predicted = type(backbone).__name__, type(target).__name__
    source = early or backbone
    student = replace(student_of(backbone), stride=source.stride)
    if target.kind == 'relations':
        raise ValueError(f'{predicted} gives relations of tokens, which no head predicts')
    # Of a coarser target, the method averages what the head says of each token.
    if not (multiple(target.grid, student.grid) or multiple(student.grid, target.grid)):
        raise ValueError(
            f'{predicted} has a {as_text(target.grid)} grid, {encoder} {as_text(student.grid)} '
            'tokens; one must be a multiple of the other'
        )
    if backbone.mask_size % target.stride and target.stride % backbone.mask_size:
        raise ValueError(
            f'{predicted} has a position per {target.stride} px, a mask of {encoder} a cell per '
            f'{backbone.mask_size} px; one must divide the other'
        )
    sizes = {
        'in_dim': (source.last_dim, f'{encoder} has'),
        'stride': (max(1, source.stride // target.stride), f'{encoder} on {predicted} needs'),
        'channels': (target.width, f'{predicted} has'),
    }
    for name, (size, who) in sizes.items():
        if config.get(name, size) != size:
            raise ValueError(
                f'{config["type"]}: {name}={config[name]} in the config, but {who} {size}; '
                f'leave {name} out'
            )
    return build(MODELS, {**config, **{name: size for name, (size, _) in sizes.items()}})
