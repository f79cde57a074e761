"""MIMHiera's constructor arguments from the shapes of its weights."""

import re
from itertools import pairwise
from math import isqrt
from typing import Any

from torch import Tensor

from mim_backbones.backbones.archs import HIERA, hiera_size
from mim_backbones.checkpoints.safe.weights_file import CheckpointError
from mim_backbones.checkpoints.shapes.hints import Hints, give, named_arch, require
from mim_backbones.checkpoints.shapes.vit import count_blocks

State = dict[str, Tensor]
REQUIRED = {  # name -> number of axes
    'patch_embed.proj.weight': 4,
    'pos_embed': 3,
    'blocks.0.norm1.weight': 1,
    'blocks.0.mlp.fc1.weight': 2,
}
STRIDE = 4


def hiera_arguments(state: State, hints: Hints) -> dict[str, Any]:
    """Arguments that build the MIMHiera these weights belong to.

    Raises:
        CheckpointError: blocks are missing, or the number of heads has to be asked for.
    """
    require(state, REQUIRED, hints.name)
    width, channels = state['patch_embed.proj.weight'].shape[:2]
    depths = stage_depths(state, hints.name)
    config: dict[str, Any] = {'type': 'mim_backbones.MIMHiera'}
    config['arch'] = named_arch(sizes(width, depths, hints), HIERA)
    if channels != 3:
        config['in_channels'] = channels
    rows, columns = hints.grid or (isqrt(state['pos_embed'].shape[1]),) * 2
    config['img_size'] = rows * STRIDE if rows == columns else (rows * STRIDE, columns * STRIDE)
    config['q_pool'] = hints.implied.get('q_pool', 3)
    if 'mask_token' in state:
        config['mask_token'] = True
    if 'fc_norm.weight' in state:
        config['fc_norm'] = True
    hidden = len(state['blocks.0.mlp.fc1.weight'])
    if hidden != 4 * width:
        config['mlp_ratio'] = hidden / width
    return config


def stage_depths(state: State, name: str) -> tuple[int, ...]:
    """Blocks of each stage: the first of the later ones projects to a greater width."""
    depth = count_blocks(state, name)
    starts = sorted(int(m[1]) for key in state if (m := re.match(r'blocks\.(\d+)\.proj\.w', key)))
    bounds = [0, *starts, depth]
    return tuple(after - before for before, after in pairwise(bounds))


def sizes(width: int, depths: tuple[int, ...], hints: Hints) -> dict[str, Any]:
    """Width, depths and heads of the first stage: given, said by the file, or of a known size.

    Raises:
        CheckpointError: what was given contradicts the file, or nothing tells the heads.
    """
    said = hints.num_heads_said()
    found = {'embed_dim': width, 'depths': depths, **({'num_heads': said} if said else {})}
    size = hints.agreed(found, hiera_size)
    if 'num_heads' in size:
        return size
    for name, row in HIERA.items():
        if (row['embed_dim'], row['depths']) == (width, depths):
            return {**size, 'num_heads': hints.guess_heads(row['num_heads'], f'as in Hiera-{name}')}
    raise CheckpointError(
        f'checkpoint {hints.name}: shapes do not show how many heads the first stage of a '
        f'Hiera of width {width} and depths {depths} has; {give("num_heads=N")}'
    )


def hiera_name(state: State) -> str:
    """For people: 'Hiera 96 wide, 24 blocks'."""
    projection = state.get('patch_embed.proj.weight')
    if projection is None:
        return 'Hiera'
    depth = len({key.split('.')[1] for key in state if key.startswith('blocks.')})
    return f'Hiera {len(projection)} wide, {depth} blocks'
