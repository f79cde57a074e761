"""A head between a backbone and a target: its sizes follow from both, no recipe repeats them."""

from typing import Any

import torch.nn as nn

from mim_backbones.backbones.base import MIMBackbone
from pretrain.registry import MODELS, build
from pretrain.targets.base import Target, as_text, student_of


def build_head(config: dict[str, Any], backbone: MIMBackbone, target: Target) -> nn.Module:
    """The head of a config, given in_dim, stride and channels beside what the config says.

    Args:
        config: of a head (B, in_dim, h, w) -> (B, channels, h * stride, w * stride).

    Raises:
        ValueError: the config names other numbers than backbone and target have, or no whole
            number of the target's positions fits a position of the backbone's last map.
    """
    encoder, predicted = type(backbone).__name__, type(target).__name__
    student = student_of(backbone)
    if target.kind == 'relations':
        raise ValueError(f'{predicted} gives relations of tokens, which no head predicts')
    if any(ours % theirs for ours, theirs in zip(target.grid, student.grid, strict=True)):
        raise ValueError(
            f'{predicted} has a {as_text(target.grid)} grid, {encoder} {as_text(student.grid)} '
            'tokens; the first must be a multiple of the second'
        )
    if backbone.mask_size % target.stride and target.stride % backbone.mask_size:
        raise ValueError(
            f'{predicted} has a position per {target.stride} px, a mask of {encoder} a cell per '
            f'{backbone.mask_size} px; one must divide the other'
        )
    sizes = {
        'in_dim': (backbone.last_dim, f'{encoder} has'),
        'stride': (backbone.stride // target.stride, f'{encoder} on {predicted} needs'),
        'channels': (target.width, f'{predicted} has'),
    }
    for name, (size, who) in sizes.items():
        if config.get(name, size) != size:
            raise ValueError(
                f'{config["type"]}: {name}={config[name]} in the config, but {who} {size}; '
                f'leave {name} out'
            )
    return build(MODELS, {**config, **{name: size for name, (size, _) in sizes.items()}})
