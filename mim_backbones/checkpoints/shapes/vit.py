"""MIMViT's constructor arguments from the shapes of its weights."""

import re
from collections.abc import Mapping
from math import isqrt
from typing import Any

from torch import Tensor

from mim_backbones.backbones.archs import VIT, vit_size
from mim_backbones.backbones.layers.pos_embed import Grid
from mim_backbones.backbones.layers.rel_pos_bias import CLS_ROWS
from mim_backbones.backbones.position_tables import SHARED
from mim_backbones.checkpoints.safe.weights_file import CheckpointError
from mim_backbones.checkpoints.shapes.hints import Hints, give, named_arch, require

State = dict[str, Tensor]
DEFAULT_SIDE = 224
DEFAULT_EPS = 1e-6
USUAL = {'norm_eps': DEFAULT_EPS, 'act': 'gelu', 'rope': None}
REQUIRED = {  # name -> number of axes
    'patch_embed.proj.weight': 4,
    'blocks.0.norm1.weight': 1,
    'blocks.0.attn.qkv.weight': 2,
    'blocks.0.mlp.fc1.weight': 2,
    'blocks.0.mlp.fc2.weight': 2,
}


def vit_arguments(state: State, hints: Hints) -> dict[str, Any]:
    """Arguments that build the MIMViT these weights belong to.

    Raises:
        CheckpointError: blocks are missing, or the number of heads has to be asked for.
    """
    require(state, REQUIRED, hints.name)
    width, channels, patch, across = state['patch_embed.proj.weight'].shape
    if patch != across:
        raise CheckpointError(
            f'checkpoint {hints.name} has patches of {patch}x{across} pixels; MIMViT wants square'
        )
    depth = count_blocks(state, hints.name)
    config: dict[str, Any] = {'type': 'mim_backbones.MIMViT'}
    config['arch'] = named_arch(sizes(state, depth, hints), VIT)
    config['patch_size'] = patch
    if channels != 3:
        config['in_channels'] = channels
    config.update(position_options(state, patch, depth, hints))
    config.update(block_options(state, width))
    unseen = {key: value for key, value in unseen_options(hints.said).items() if value}
    if config.get('mlp') == 'swiglu':
        unseen.pop('act', None)  # its gate has SiLU
    config.update({key: value for key, value in unseen.items() if value != USUAL[key]})
    config['cls_token'] = 'cls_token' in state
    if 'register_tokens' in state:
        config['num_registers'] = state['register_tokens'].shape[1]
    if 'mask_token' in state:
        config['mask_token'] = True
    config['final_norm'] = 'norm.weight' in state
    if 'fc_norm.weight' in state:
        config['fc_norm'] = True
    if 'norm_pre.weight' in state:
        config['norm_pre'] = True
    if 'patch_embed.proj.bias' not in state:
        config['patch_bias'] = False
    heads = ('num_heads', 'heads')
    implied = {key: value for key, value in hints.implied.items() if key not in heads}
    config.update({key: value for key, value in implied.items() if value is not None})
    return config


def count_blocks(state: State, name: str) -> int:
    """Depth. Raises CheckpointError when there is no block, or a gap between two."""
    present = {int(m[1]) for key in state if (m := re.match(r'blocks\.(\d+)\.', key))}
    depth = max(present, default=-1) + 1
    absent = sorted(set(range(depth)) - present)
    if absent or not depth:
        what = f'lacks block {absent[0]} of {depth}' if absent else 'has no blocks'
        raise CheckpointError(f'checkpoint {name} {what}; get it again')
    return depth


def sizes(state: State, depth: int, hints: Hints) -> dict[str, int]:
    """Width, depth and heads.

    Raises:
        CheckpointError: what was given contradicts the file, or nothing tells the heads.
    """
    width = len(state['patch_embed.proj.weight'])
    found = {'embed_dim': width, 'depth': depth}
    shown = shown_heads(state, width) or hints.implied.get('heads')
    shown = shown or hints.num_heads_said() or hints.heads_by_name(width)
    if shown:
        found['num_heads'] = shown
    size = hints.agreed(found, vit_size)
    return size if 'num_heads' in size else {**size, 'num_heads': likely_heads(width, depth, hints)}


def shown_heads(state: State, width: int) -> int | None:
    """Heads that relative positions show."""
    for key, value in state.items():
        if key.endswith('relative_position_bias_table'):
            return value.shape[1]
        if key.endswith('rel_pos_h'):
            return width // value.shape[1]
    return None


def likely_heads(width: int, depth: int, hints: Hints) -> int:
    """The dialect's number of heads, else that of the only known size; noted for the report.

    Raises:
        CheckpointError: several known sizes have this width and depth, or none.
    """
    if 'num_heads' in hints.implied:
        return hints.guess_heads(hints.implied['num_heads'], f'as {hints.dialect} has')
    known = {
        name: row for name, row in VIT.items() if (row['embed_dim'], row['depth']) == (width, depth)
    }
    if hints.head_width and len(known) > 1:
        heads = width // hints.head_width
        known = {name: row for name, row in known.items() if row['num_heads'] == heads}
    if len(known) == 1:
        name, row = known.popitem()
        return hints.guess_heads(row['num_heads'], f'as in ViT-{name}')
    choices = [f'num_heads={row["num_heads"]} ({name})' for name, row in known.items()]
    raise CheckpointError(
        f'checkpoint {hints.name}: shapes do not show how many heads a ViT of width {width} and '
        f'depth {depth} has; {give("num_heads=N")}'
        + (f': {" or ".join(choices)}' if choices else '')
    )


def position_options(state: State, patch: int, depth: int, hints: Hints) -> dict[str, Any]:
    """Grid, kinds of positions and windows."""
    options: dict[str, Any] = {'pos_embed': 'learned' if 'pos_embed' in state else 'none'}
    grid = hints.grid
    if 'pos_embed' in state and grid is None:
        side = isqrt(state['pos_embed'].shape[1])
        grid = (side, side)
    tables = [key for key in state if key.endswith('relative_position_bias_table')]
    if tables:
        options['rel_pos_bias'] = 'shared' if SHARED in state else 'per_block'
        side = (isqrt(len(state[tables[0]]) - CLS_ROWS * ('cls_token' in state)) + 1) // 2
        grid = hints.grid or (side, side)
    axes = {
        int(key.split('.')[1]): ((len(value) + 1) // 2, (len(state[f'{key[:-1]}w']) + 1) // 2)
        for key, value in state.items()
        if key.endswith('rel_pos_h')
    }
    if axes:
        options['decomposed_rel_pos'] = True
        window = min(axes.values())
        stored, grid = grid, max(axes.values())
        if stored is not None and stored != grid:
            # Resized once, from the stored table, to whatever grid is run.
            options['pos_embed_size'] = pixels(stored, patch)
        if window != grid:
            options['window_size'] = window[0]
            options['global_blocks'] = tuple(i for i in range(depth) if axes.get(i) == grid)
    said = hints.img_size()
    if said and grid and not axes and not hints.grid and fits(state, said, patch):
        grid = (said[0] // patch, said[1] // patch)
    options['img_size'] = pixels(grid or (DEFAULT_SIDE // patch,) * 2, patch)
    return options


def pixels(grid: Grid, patch: int) -> int | Grid:
    """Side (or (H, W)) of an image of `grid` patches."""
    return grid[0] * patch if grid[0] == grid[1] else (grid[0] * patch, grid[1] * patch)


def fits(state: State, said: tuple[int, int], patch: int) -> bool:
    """Whether an image size the file states has as many patches as its position table."""
    cells = (said[0] // patch) * (said[1] // patch)
    return 'pos_embed' in state and state['pos_embed'].shape[1] - cells in (0, 1)


def block_options(state: State, width: int) -> dict[str, Any]:
    """Biases, layer scale, norms and MLP of the blocks."""
    options: dict[str, Any] = {'qkv_bias': 'none'}
    if 'blocks.0.attn.qkv.bias' in state:
        options['qkv_bias'] = 'joint'
    elif 'blocks.0.attn.q_bias' in state:
        options['qkv_bias'] = 'qv'
    if 'blocks.0.gamma_1' in state:
        options['layer_scale'] = 1.0  # the start value; the weights replace it
    norms = {'mlp_norm': 'mlp.norm', 'attn_norm': 'attn.norm', 'qk_norm': 'attn.q_norm'}
    for option, name in norms.items():
        if f'blocks.0.{name}.weight' in state:
            options[option] = True
    rows, hidden = (state[f'blocks.0.mlp.fc{i}.weight'].shape[i - 1] for i in (1, 2))
    if rows == 2 * hidden:
        options['mlp'] = 'swiglu'
    if hidden != 4 * width:
        ratio = hidden / width
        # The block takes int(width * ratio): half a channel more where that rounds down.
        options['mlp_ratio'] = ratio if int(width * ratio) == hidden else (hidden + 0.5) / width
    return options


def unseen_options(said: Mapping[str, Any]) -> dict[str, Any]:
    """What no weight shows, where timm says it: act, rope and norm_eps."""
    if not said.get('timm'):
        return {}
    return {
        'norm_eps': said.get('timm.norm_eps', DEFAULT_EPS),
        'act': said.get('timm.act', 'gelu'),
        'rope': said.get('timm.rope'),
    }


def vit_name(state: State) -> str:
    """For people: 'ViT 768 wide, 12 deep, patch 16'."""
    projection = state.get('patch_embed.proj.weight')
    if projection is None or projection.ndim != 4:
        return 'ViT'
    depth = len({key.split('.')[1] for key in state if key.startswith('blocks.')})
    return f'ViT {len(projection)} wide, {depth} deep, patch {projection.shape[2]}'
