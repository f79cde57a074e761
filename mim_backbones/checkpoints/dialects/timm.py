"""timm's ViT, DeiT, DeiT III, DINOv2, BEiT and Swin. Source: huggingface/pytorch-image-models.

Names of ViTs as in MAE; layer scale is `ls1.gamma`, registers `reg_token`. Some models have
positions for the patches only. DeiT's distillation token is a second prefix token: one register.
A merging of Swin opens the stage it leads to; officially it closes the stage before.
"""

import re
from dataclasses import replace

from mim_backbones.checkpoints.choose import Model
from mim_backbones.checkpoints.dialects.base import Dialect, State
from mim_backbones.checkpoints.dialects.rules import (
    BEIT,
    CORE,
    HEADS,
    LAYER_SCALE,
    MASK_TOKEN,
    SWIN_V2,
)


def prefix_positions(state: State) -> State:
    """Adds the positions of register tokens, which ours have none of, to the tokens themselves."""
    registers, table = state.get('register_tokens'), state.get('pos_embed')
    if registers is None or table is None:
        return state
    count, side = registers.shape[1], int(table.shape[1] ** 0.5)
    if table.shape[1] == side * side + 1 + count:
        state['register_tokens'] = registers + table[:, 1 : 1 + count]
        state['pos_embed'] = table[:, [0, *range(1 + count, table.shape[1])]]
    return state


def merges_late(model: Model) -> bool:
    late = model.has(r'layers\.1\.downsample\.') and not model.has(r'layers\.0\.downsample\.')
    return late and model.has(r'layers\.0\.blocks\.0\.attn\.')


def merge_before(state: State) -> State:
    return {
        re.sub(
            r'^layers\.(\d+)\.downsample', lambda m: f'layers.{int(m[1]) - 1}.downsample', key
        ): v
        for key, v in state.items()
    }


BEIT_VIT = Dialect(
    name='timm BEiT',
    source='huggingface/pytorch-image-models',
    family='vit',
    recognise=lambda model: (
        model.has(r'blocks\.0\.attn\.(q_bias|relative_position_bias_table)')
        and model.has(r'blocks\.0\.norm1\.')
    ),
    rules=(*CORE, *MASK_TOKEN, *BEIT, *HEADS),
)
VIT = Dialect(
    name='timm ViT (or fine-tuned MAE, DeiT)',
    source='huggingface/pytorch-image-models',
    family='vit',
    recognise=lambda model: (
        model.has(r'blocks\.0\.ls1\.gamma|reg_token|dist_token|head\.|fc_norm|attn_pool')
        and model.has(r'blocks\.0\.norm1\.')
    ),
    rules=(
        *CORE,
        *MASK_TOKEN,
        *LAYER_SCALE,
        (r'reg_token|dist_token', 'register_tokens'),
        *HEADS,
    ),
    adapt=prefix_positions,
    head_width=64,
)
# MAE-Lite's small ViTs, with 12 heads, leave a fine-tuning with these names too.
FINE_TUNED = replace(
    VIT,
    recognise=lambda model: VIT.recognise(model) and model.has(r'fc_norm'),
    head_width=None,
)
SWIN = Dialect(
    name='timm Swin',
    source='huggingface/pytorch-image-models',
    family='swin',
    recognise=merges_late,
    rules=SWIN_V2,
    adapt=merge_before,
)
