"""MIMSwin's constructor arguments from the shapes of its weights."""

import re
from collections.abc import Mapping, Sequence
from math import isqrt
from typing import Any

from torch import Tensor

from mim_backbones.backbones.archs import SWIN, swin_size
from mim_backbones.checkpoints.safe.weights_file import CheckpointError
from mim_backbones.checkpoints.shapes.hints import Hints, give, named_arch, require

State = dict[str, Tensor]
# Released Swin V2-B and -L at 256 and 384 px: some were pre-trained at 192 px with smaller windows.
PRETRAINED_AT_12 = (128, 192)  # widths
TRANSFERRED = (16, 24)
RELEASED = (12, 12, 12, 6)
REQUIRED = {  # name -> number of axes
    'patch_embed.proj.weight': 4,
    'layers.0.blocks.0.norm1.weight': 1,
    'layers.0.blocks.0.mlp.fc1.weight': 2,
}


def swin_arguments(state: State, hints: Hints) -> dict[str, Any]:
    """Arguments that build the MIMSwin these weights belong to.

    Raises:
        CheckpointError: blocks are missing, or heads or the window have to be asked for.
    """
    require(state, REQUIRED, hints.name)
    width, channels, patch, _ = state['patch_embed.proj.weight'].shape
    depths = stage_depths(state, hints.name)
    config: dict[str, Any] = {'type': 'mim_backbones.MIMSwin'}
    heads = stage_heads(state, len(depths))
    found = {'embed_dim': width, 'depths': depths, **({'num_heads': heads} if heads else {})}
    size = hints.agreed(found, swin_size)
    if 'num_heads' not in size:
        raise CheckpointError(
            f'checkpoint {hints.name}: nothing shows how many heads each stage has; '
            f'{give("num_heads=(...)")}'
        )
    config['arch'] = named_arch(size, SWIN)
    config['patch_size'] = patch
    if channels != 3:
        config['in_channels'] = channels
    if 'layers.0.blocks.0.attn.logit_scale' in state:
        config['version'] = 2
        config['pretrained_window_sizes'] = pretrained_windows(size, hints)
    config.update(window_options(state, patch, len(depths), hints))
    config['absolute_pos_embed'] = 'absolute_pos_embed' in state
    config['patch_norm'] = 'patch_embed.norm.weight' in state
    biases = ('layers.0.blocks.0.attn.qkv.bias', 'layers.0.blocks.0.attn.q_bias')
    config['qkv_bias'] = any(key in state for key in biases)
    if 'mask_token' in state:
        config['mask_token'] = True
    config.update(output_options(state, hints))
    hidden = len(state['layers.0.blocks.0.mlp.fc1.weight'])
    if hidden != 4 * width:
        config['mlp_ratio'] = hidden / width
    return config


def stage_depths(state: State, name: str) -> tuple[int, ...]:
    """Blocks of each stage. Raises CheckpointError when one is missing."""
    found: dict[int, set[int]] = {}
    for key in state:
        match = re.match(r'layers\.(\d+)\.blocks\.(\d+)\.', key)
        if match:
            found.setdefault(int(match[1]), set()).add(int(match[2]))
    for stage in range(max(found) + 1):
        blocks = found.get(stage, set())
        if blocks != set(range(len(blocks))) or not blocks:
            raise CheckpointError(f'checkpoint {name} lacks blocks of stage {stage}; get it again')
    return tuple(len(found[stage]) for stage in sorted(found))


def stage_heads(state: State, stages: int) -> tuple[int, ...] | None:
    """Heads of each stage: the columns of its table or the rows of its scale; None without."""
    heads = []
    for stage in range(stages):
        attention = f'layers.{stage}.blocks.0.attn.'
        table = state.get(f'{attention}relative_position_bias_table')
        scale = state.get(f'{attention}logit_scale')
        if table is not None:
            heads.append(table.shape[1])
        elif scale is not None:
            heads.append(len(scale))
        else:
            return None
    return tuple(heads)


def window_options(state: State, patch: int, stages: int, hints: Hints) -> dict[str, Any]:
    """Window and image size.

    A stage whose map is smaller than the window has a table of the map's size, which tells the
    image; where none is, released weights have one window on the last map (7 at 224 px).

    Raises:
        CheckpointError: V2 with nothing that shows the window, or windows of several sizes.
    """
    keys = [f'layers.{s}.blocks.0.attn.relative_position_bias_table' for s in range(stages)]
    sides = [(isqrt(len(state[key])) + 1) // 2 for key in keys if key in state]
    sides = sides or list(shown_windows(hints))
    window = max(sides, default=None) or hints.asked.get('window_size')
    window = window or hints.said.get('MODEL.SWINV2.WINDOW_SIZE') or hints.said.get('window_size')
    if window is None:
        raise CheckpointError(
            f'checkpoint {hints.name}: the weights of Swin V2 do not show their window; '
            f'{give("window_size=N")}'
        )
    images = {side * 2**stage * patch for stage, side in enumerate(sides) if side < window}
    if len(images) > 1:
        raise CheckpointError(
            f'checkpoint {hints.name} has windows of {", ".join(map(str, sides))} tokens in its '
            'stages; MIMSwin has one size, and a smaller one only where the whole map is smaller'
        )
    said = hints.img_size()
    pixels: int | tuple[int, int] = window * 2 ** (stages - 1) * patch
    if images:
        pixels = images.pop()
    elif hints.grid:
        pixels = (hints.grid[0] * patch, hints.grid[1] * patch)
    elif 'absolute_pos_embed' in state:
        pixels = absolute_side(state['absolute_pos_embed']) * patch
    elif said:
        pixels = said if said[0] != said[1] else said[0]
    return {'window_size': window, 'img_size': pixels}


def absolute_side(positions: Tensor) -> int:
    """Side of the square grid of absolute positions, (1, cells, C) or a map (1, C, H, W)."""
    return positions.shape[2] if positions.ndim == 4 else isqrt(positions.shape[1])


def shown_windows(hints: Hints) -> tuple[int, ...]:
    """V2's windows by stage, of buffers beside the weights or by timm's word; () without."""
    return tuple(hints.implied.get('stage_windows') or hints.said.get('timm.stage_windows') or ())


def pretrained_windows(size: Mapping[str, Any], hints: Hints) -> tuple[int, ...]:
    """V2's windows by stage that scale the offsets of its bias; 0: the window that is run.

    Raises:
        CheckpointError: released weights of this size and window had two different ones.
    """
    stages = len(size['depths'])
    shown = hints.asked.get('pretrained_window_sizes') or shown_scale(hints)
    if shown:
        return tuple(shown)
    window = hints.asked.get('window_size')
    if window in TRANSFERRED and size['embed_dim'] in PRETRAINED_AT_12:
        raise CheckpointError(
            f'checkpoint {hints.name}: Swin V2 of this width with windows of {window} was released '
            f'with a bias scaled by its own window and by the {RELEASED[0]} of its pre-training, '
            f'and no weight shows which; {give(f"pretrained_window_sizes={RELEASED}")}, or '
            f'{(0,) * stages} for its own'
        )
    hints.guesses.append(
        'pretrained_window_sizes: the windows that are run; if the file was pre-trained with '
        f'others: {give("pretrained_window_sizes=(...)")}'
    )
    return (0,) * stages


def shown_scale(hints: Hints) -> tuple[int, ...]:
    """V2's windows by stage that scale the offsets of its bias; () where nothing shows them."""
    windows = shown_windows(hints)
    scaling: Sequence[int] = (
        hints.implied.get('pretrained_window_sizes')
        or hints.said.get('timm.pretrained_window_sizes')
        or hints.said.get('MODEL.SWINV2.PRETRAINED_WINDOW_SIZES')
        or ()
    )
    if not windows:
        return tuple(scaling)
    return tuple(own or window for own, window in zip(scaling or windows, windows, strict=True))


def output_options(state: State, hints: Hints) -> dict[str, Any]:
    """`norm` is the default of a classifier; norm0, norm1, ... belong to several outputs.

    Raises:
        CheckpointError: with several, nothing tells what becomes of small maps.
    """
    small_maps = hints.implied.get('small_maps')
    how = {} if small_maps is None else {'small_maps': small_maps}
    each = sorted(int(m[1]) for key in state if (m := re.fullmatch(r'norm(\d)\.weight', key)))
    if each:
        if 'small_maps' not in {**how, **hints.asked}:
            raise CheckpointError(
                f'checkpoint {hints.name} has norms of {len(each)} outputs and no head that shows '
                'whose it is: mmdet and mmseg pad every map to whole windows and always shift, '
                "mmpretrain does not shift in a map of one window; give small_maps='pad' or "
                "small_maps='shrink' (--backbone small_maps=pad on the command line)"
            )
        return {'out_indices': tuple(each), 'output_norm': 'each', **how}
    return how if 'norm.weight' in state else {**how, 'output_norm': 'none'}


def swin_name(state: State) -> str:
    """For people: 'Swin 128 wide, 2-2-18-2 deep, window 6'."""
    projection = state.get('patch_embed.proj.weight')
    if projection is None:
        return 'Swin'
    found: dict[str, set[str]] = {}
    for key in state:
        match = re.match(r'layers\.(\d+)\.blocks\.(\d+)\.', key)
        if match:
            found.setdefault(match[1], set()).add(match[2])
    depths = '-'.join(str(len(found[stage])) for stage in sorted(found))
    table = state.get('layers.0.blocks.0.attn.relative_position_bias_table')
    window = 'V2' if table is None else f'window {(isqrt(len(table)) + 1) // 2}'
    return f'Swin {len(projection)} wide, {depths} deep, {window}'
