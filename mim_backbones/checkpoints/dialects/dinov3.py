"""DINOv3's ViTs. Source: facebookresearch/dinov3.

No position table: the periods of the rotary positions are a buffer, which shows the width of a
head, and is rounded to bfloat16 in released files. Registers are `storage_tokens`. A mask beside
the joint bias holds the keys' part at zero. The largest have SwiGLU and, for the local crops of
training, a norm of their own.
"""

from typing import Any

import torch

from mim_backbones.backbones.layers.rope import ROPES, Rope
from mim_backbones.checkpoints.choose import Model
from mim_backbones.checkpoints.dialects.base import Dialect, Ignored, State
from mim_backbones.checkpoints.dialects.dino import as_token
from mim_backbones.checkpoints.dialects.parts import APART, joined
from mim_backbones.checkpoints.dialects.rules import CORE, HEADS, LAYER_SCALE, MASK_TOKEN, SAME
from mim_backbones.checkpoints.safe.weights_file import CheckpointError

PERIODS = 'rope_embed.periods'
BIAS_MASK = '.bias_mask'


def options(model: Model) -> dict[str, Any]:
    """Rotary positions and heads.

    Raises:
        CheckpointError: periods that are not those of the released models.
    """
    periods = model.state[PERIODS].float()
    head_dim = 4 * len(periods)
    for rounded in (True, False):
        own = Rope(head_dim, **ROPES['dinov3'], rounded=rounded).periods(torch.device('cpu'))
        if torch.allclose(periods, own, rtol=1e-5, atol=0):
            break
    else:
        raise CheckpointError(
            f'checkpoint {model.name}: {PERIODS} are not those of the released DINOv3; rotary '
            'positions with other periods are not known here'
        )
    rope = {**ROPES['dinov3'], 'rounded': True} if rounded else 'dinov3'
    width = len(model.state['patch_embed.proj.weight'])
    return {'rope': rope, 'heads': width // head_dim, 'norm_eps': 1e-5}


def adapt(state: State, model: Model) -> State:
    state = joined(as_token(state, model))
    for key in [key for key in state if key.endswith(BIAS_MASK)]:
        stem = key.removesuffix(f'.qkv{BIAS_MASK}')
        mask, bias = state.pop(key), state.pop(f'{stem}.qkv.bias')
        state[f'{stem}.q_bias'], _, state[f'{stem}.v_bias'] = (bias * mask).chunk(3)
    return state


VIT = Dialect(
    name='DINOv3',
    source='facebookresearch/dinov3',
    family='vit',
    recognise=lambda model: PERIODS in model.state and model.has(r'blocks\.0\.norm1\.'),
    rules=(
        *CORE,
        *LAYER_SCALE,
        *MASK_TOKEN,
        *APART,
        (r'storage_tokens', 'register_tokens'),
        (r'blocks\.\d+\.attn\.qkv\.bias_mask', SAME),
        (PERIODS.replace('.', r'\.'), Ignored('periods of the rotary positions, an option here')),
        (r'local_cls_norm\..*', Ignored("norm of training's local crops")),
        *HEADS,
    ),
    adapt=adapt,
    options=options,
)
