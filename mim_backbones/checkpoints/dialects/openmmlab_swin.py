"""Swin in OpenMMLab's names. Sources: open-mmlab/mmdetection, mmsegmentation, mmpretrain.

Patch merging unfolds its four neighbours channel by channel, in row-major order; officially they
are four blocks of channels in column-major order, so norm and reduction are reordered here.
"""

import re

from torch import Tensor

from mim_backbones.checkpoints.choose import Model
from mim_backbones.checkpoints.dialects.base import Dialect, Rule, State
from mim_backbones.checkpoints.dialects.vit_rules import CLASSIFIER, INDEX, SAME

BLOCK = r'stages\.(\d+)\.blocks\.(\d+)\.'
OURS = r'layers.\1.blocks.\2.'
RULES: tuple[Rule, ...] = (
    (r'absolute_pos_embed|mask_token', SAME),
    (r'patch_embed\.projection\.(weight|bias)', r'patch_embed.proj.\1'),
    (r'patch_embed\.norm\.(weight|bias)', SAME),
    (BLOCK + r'(norm[12])\.(weight|bias)', OURS + r'\3.\4'),
    (BLOCK + r'attn\.w_msa\.(qkv|proj)\.(weight|bias)', OURS + r'attn.\3.\4'),
    (
        BLOCK + r'attn\.w_msa\.(relative_position_bias_table)',
        OURS + r'attn.\3',
    ),
    (BLOCK + r'ffn\.layers\.0\.0\.(weight|bias)', OURS + r'mlp.fc1.\3'),
    (BLOCK + r'ffn\.layers\.1\.(weight|bias)', OURS + r'mlp.fc2.\3'),
    (
        r'stages\.(\d+)\.downsample\.(norm\.(?:weight|bias)|reduction\.weight)',
        r'layers.\1.downsample.\2',
    ),
    (r'norm(\d)\.(weight|bias)', SAME),
    (r'.*\.(relative_position_index|attn_mask)', INDEX),
    (r'head\..*', CLASSIFIER),
)


def official_order(value: Tensor) -> Tensor:
    """Last axis from (channel, row, column) to (column, row, channel), e.g. (out, 4C) or (4C,)."""
    blocks = value.unflatten(-1, (-1, 2, 2))
    return blocks.transpose(-1, -3).flatten(-3)


def adapt(state: State) -> State:
    """Merging in the official order; a classifier's only norm, of the last stage, is `norm`."""
    for key, value in state.items():
        if re.search(r'\.downsample\.', key):
            state[key] = official_order(value)
    last = max((int(m[1]) for key in state if (m := re.match(r'layers\.(\d+)', key))), default=0)
    norms = {key.split('.')[0] for key in state if re.match(r'norm\d\.', key)}
    if norms == {f'norm{last}'}:
        for name in ('weight', 'bias'):
            state[f'norm.{name}'] = state.pop(f'norm{last}.{name}')
    return state


def recognise(model: Model) -> bool:
    return model.has(r'stages\.0\.blocks\.0\.attn\.w_msa\.')


MMDET = Dialect(
    name='mmdetection Swin',
    source='open-mmlab/mmdetection',
    family='swin',
    recognise=lambda model: recognise(model) and model.beside(r'(^|\.)(rpn_head|roi_head|bbox_)'),
    rules=RULES,
    adapt=adapt,
)
MMSEG = Dialect(
    name='mmsegmentation Swin',
    source='open-mmlab/mmsegmentation',
    family='swin',
    recognise=lambda model: recognise(model) and model.beside(r'(^|\.)(decode|auxiliary)_head\.'),
    rules=RULES,
    adapt=adapt,
)
MMPRETRAIN = Dialect(
    name='OpenMMLab Swin',
    source='open-mmlab/mmpretrain',
    family='swin',
    recognise=recognise,
    rules=RULES,
    adapt=adapt,
)
