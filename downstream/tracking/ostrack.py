"""Trackers released with OSTrack's code (botaoye/OSTrack, MAE-Lite's among them) as our model.

    {'net': {'backbone.*': a ViT with positions of its own for both crops, 'box_head.*'}}

Sizes are read from the shapes; heads and which candidates leave are no weights and have to be said.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from downstream.tracking.model import OneStreamTracker
from mim_backbones.checkpoints.safe.weights_file import read_weights_file
from mim_backbones.errors import UserError

TOWERS = {'ctr': 'score', 'size': 'size', 'offset': 'offset'}
# Kept in the published files, read by nothing.
UNREAD = re.compile(r'backbone\.(cls_token|pos_embed|norm_pre\..*)')


def read_ostrack(path: str | Path, num_heads: int = 12, **options: Any) -> OneStreamTracker:
    """The tracker of a released file, in eval mode; options: see `build_ostrack`.

    Raises:
        UserError: no such file, or one of another kind.
    """
    content = read_weights_file(path)
    state = content.get('net', content)
    if 'backbone.pos_embed_z' not in state or not any('box_head' in key for key in state):
        raise UserError(f'{path}: no tracker of OSTrack with a centre head; give one of its files')
    return build_ostrack(state, num_heads, **options).eval()


def build_ostrack(
    state: Mapping[str, Tensor],
    num_heads: int = 12,
    elimination: Mapping[str, Any] | None = None,
    **options: Any,
) -> OneStreamTracker:
    """A tracker of the sizes and weights of a published state dict.

    Args:
        num_heads: of the attention; 12 in every released tracker, ViT-Ti's included.
        elimination: arguments of Elimination; None keeps every candidate.
        options: others of OneStreamTracker; factors 2 and 4 (5 for 384 px) are the published ones.
    """
    width, channels, patch, _ = state['backbone.patch_embed.proj.weight'].shape
    sides = {
        name: round(state[f'backbone.pos_embed_{crop}'].shape[1] ** 0.5) * patch
        for name, crop in (('template_size', 'z'), ('search_size', 'x'))
    }
    depth = 1 + max(int(key.split('.')[2]) for key in state if key.startswith('backbone.blocks.'))
    model = OneStreamTracker(
        backbone={
            'type': 'mim_backbones.MIMViT',
            'arch': {'embed_dim': width, 'depth': depth, 'num_heads': num_heads},
            'img_size': sides['search_size'],
            'patch_size': patch,
            'in_channels': channels,
            'mlp_ratio': len(state['backbone.blocks.0.mlp.fc1.bias']) / width,
            'pos_embed': 'none',  # those of the two crops hold all of it
            'cls_token': False,
        },
        head={'channels': len(state['box_head.conv1_ctr.0.bias'])},
        elimination=None if elimination is None else dict(elimination),
        **sides,
        **options,
    )
    model.load_state_dict(ours(state))
    return model


def ours(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Published names -> ours: box_head.conv3_ctr.0.weight -> head.score.2.0.weight."""
    found = {}
    for key, value in state.items():
        if UNREAD.fullmatch(key):
            continue
        name = key.replace('backbone.pos_embed_z', 'template_pos')
        name = name.replace('backbone.pos_embed_x', 'search_pos')
        if tower := re.fullmatch(r'box_head\.conv(\d)_(\w+?)\.(.+)', key):
            number, kind, rest = tower.groups()
            name = f'head.{TOWERS[kind]}.{int(number) - 1}.{rest}'
        found[name] = value
    return found
