"""timm's ViT, DeiT, DeiT III, DINOv2 and BEiT. Source: huggingface/pytorch-image-models.

Names as in MAE; layer scale is `ls1.gamma`, registers `reg_token`. Some models have positions for
the patches only. DeiT's distillation token is a second prefix token: one register.
"""

from mim_backbones.checkpoints.dialects.base import Dialect, State
from mim_backbones.checkpoints.dialects.vit_rules import BEIT, CORE, HEADS, LAYER_SCALE, MASK_TOKEN


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
)
