"""timm's ViT, DeiT, DeiT III, DINOv2, BEiT, EVA and Swin. Source: huggingface/pytorch-image-models.

Names of ViTs as in MAE; layer scale is `ls1.gamma`, registers `reg_token`. Some models have
positions for the patches only. DeiT's distillation token is a second prefix token: one register.
A merging of Swin opens the stage it leads to; officially it closes the stage before.
"""

import re
from dataclasses import replace
from math import isqrt

import torch

from mim_backbones.backbones.layers.pos_embed import Resize
from mim_backbones.checkpoints.choose import Model
from mim_backbones.checkpoints.dialects.base import Dialect, State
from mim_backbones.checkpoints.dialects.parts import APART, joined
from mim_backbones.checkpoints.dialects.rules import (
    BEIT,
    CORE,
    HEADS,
    LAYER_SCALE,
    MASK_TOKEN,
    SWIN_V2,
)
from mim_backbones.checkpoints.safe.weights_file import CheckpointError


def prefix_positions(state: State, model: Model) -> State:
    """Adds the positions of register tokens, which ours have none of, to the tokens themselves."""
    registers, table = state.get('register_tokens'), state.get('pos_embed')
    if registers is None or table is None:
        return state
    first, count = int('cls_token' in state), registers.shape[1]
    if prefix_rows(table.shape[1], first, count, model) == first + count:
        patches = table[:, first + count :]
        state['register_tokens'] = registers + table[:, first : first + count]
        state['pos_embed'] = torch.cat([table[:, :first], patches], dim=1)
    return state


def prefix_rows(rows: int, first: int, count: int, model: Model) -> int:
    """Rows of a position table before the patches': of every prefix token, of CLS, or none.

    Raises:
        CheckpointError: none of these leaves a grid, or several do.
    """
    size = model.said.get('img_size')
    if model.said.get('timm') and size:
        patch = model.state['patch_embed.proj.weight'].shape[-2:]
        return rows - (size[0] // patch[0]) * (size[1] // patch[1])
    fitting = [
        n for n in {0, first, first + count} if n <= rows and isqrt(rows - n) ** 2 == rows - n
    ]
    if len(fitting) != 1:
        raise CheckpointError(
            f'checkpoint {model.name}: nothing shows how many of the {rows} rows of pos_embed '
            f'belong to its {first + count} tokens before the patches; give timm:NAME@FILE'
        )
    return fitting[0]


ANTIALIASED = Resize(antialias=True)
SHARED_NAMES = r'dist_token|head\.|fc_norm'


def merges_late(model: Model) -> bool:
    late = model.has(r'layers\.1\.downsample\.') and not model.has(r'layers\.0\.downsample\.')
    return late and model.has(r'layers\.0\.blocks\.0\.attn\.')


def merge_before(state: State, model: Model) -> State:
    return {
        re.sub(
            r'^layers\.(\d+)\.downsample', lambda m: f'layers.{int(m[1]) - 1}.downsample', key
        ): v
        for key, v in state.items()
    }


def timms_own(model: Model) -> bool:
    """Names that nobody but timm has, or timm's word."""
    own = model.has(r'blocks\.0\.ls1\.gamma|reg_token|attn_pool|norm_pre')
    return own or bool(model.said.get('timm'))


def of_eva(model: Model) -> bool:
    """A model of timm's eva.py with what its BEiTs lack: rotary positions, SwiGLU, registers."""
    if not model.has(r'blocks\.0\.norm1\.') or model.has(r'.*relative_position'):
        return False
    apart = model.has(r'blocks\.0\.(attn\.q_proj|mlp\.fc1_g)\.')
    scaled = model.has(r'blocks\.0\.gamma_1') and (
        model.has('reg_token') or not model.has(r'blocks\.0\.attn\.q_bias')
    )
    return apart or scaled or bool(model.said.get('timm.rope'))


EVA = Dialect(
    name='timm EVA, EVA-02, DINOv3 or another with rotary positions',
    source='huggingface/pytorch-image-models',
    family='vit',
    recognise=of_eva,
    rules=(*CORE, *MASK_TOKEN, *BEIT, *APART, (r'reg_token', 'register_tokens'), *HEADS),
    adapt=lambda state, model: prefix_positions(joined(state), model),
    resize=ANTIALIASED,
)
BEIT_VIT = Dialect(
    name='timm BEiT',
    source='huggingface/pytorch-image-models',
    family='vit',
    recognise=lambda model: (
        model.has(r'blocks\.0\.attn\.(q_bias|relative_position_bias_table)')
        and model.has(r'blocks\.0\.norm1\.')
    ),
    rules=(*CORE, *MASK_TOKEN, *BEIT, *HEADS),
    resize=ANTIALIASED,
)
# Fine-tuned MAE and DeiT have these names as well, and their code resizes without antialias.
VIT = Dialect(
    name='timm ViT (or fine-tuned MAE, DeiT)',
    source='huggingface/pytorch-image-models',
    family='vit',
    recognise=lambda model: (
        model.has(r'blocks\.0\.norm1\.') and (timms_own(model) or model.has(SHARED_NAMES))
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
OWN = replace(
    VIT,
    name='timm ViT',
    recognise=lambda model: VIT.recognise(model) and timms_own(model),
    resize=ANTIALIASED,
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
