"""What a checkpoint's backbone has and ours do not run, and what no weight shows of it.

The one place that turns a model away for what it is, told from its names and its own words. A part
that a backbone learns to run loses its row here and gains an option in `shapes/`.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from mim_backbones.backbones.layers.mlp import ACTIVATIONS
from mim_backbones.backbones.layers.rope import ROPES
from mim_backbones.checkpoints.choose import Model
from mim_backbones.checkpoints.safe.weights_file import CheckpointError
from mim_backbones.checkpoints.shapes.hints import give

# Names below the backbone's prefix, matched from their start -> the part, in the user's words.
PARTS: tuple[tuple[str, str], ...] = (
    (r'blocks\.\d+\.attn\.(qk_norm|scale)', 'scales of queries and keys'),
    (
        r'blocks\.\d+\.attn\.(q|k|v|kv|qk)\.',
        'separate projections of queries, keys and values',
    ),
    (r'blocks\.\d+\.attn\.gate\.', 'gates on its attention'),
    (r'blocks\.\d+\.(attns|ffns)\.', 'parallel branches of attention'),
    (r'blocks\.\d+\.(attn\.)?lambda_', 'differential attention'),
    (r'blocks\.\d+\.in_proj\.', 'attention and MLP side by side in one block'),
    (r'(rope\.)?freqs$', 'learned rotary positions'),
    (r'(.*\.)?rel_pos\.mlp\.|shared_rel_pos\.mlp\.', 'relative positions made by an MLP'),
    (r'blocks\.\d+\.attn\.proj_[lw]\.', 'talking heads (CaiT)'),
    (r'patch_embed\.backbone\.', 'a convolutional network before its blocks (hybrid)'),
    (r'pos_embed_win', 'positions that repeat from window to window'),
)
# Width and patch of released ViTs with post-norm blocks: timm's vit_base_patch16_rpn_224, and the
# enormous EVA-02 of EVA-CLIP.
RPN, ENORMOUS = (768, 16), (1792, 14)
SIGLIP = (768, 1024, 1152, 1536)  # widths


def refuse_beyond(model: Model) -> None:
    """Raises CheckpointError when the model has parts that no backbone here runs; names them."""
    if model.record is not None:
        return  # ours, and it says what it is
    found = [*by_name(model), *by_shape(model), *by_word(model)]
    if found:
        raise CheckpointError(
            f'checkpoint {model.name} has {", ".join(found)}: no backbone of mimbench computes that'
        )


def by_name(model: Model) -> Iterator[str]:
    for pattern, words in PARTS:
        key = next((key for key in model.state if re.match(pattern, key)), None)
        if key is not None:
            yield f'{words} ({key})'


def by_shape(model: Model) -> Iterator[str]:
    """What the presence and the shapes of tensors say."""
    positions = model.state.get('pos_embed')
    if positions is not None and positions.ndim == 4:
        yield f'positions as a map (pos_embed of shape {tuple(positions.shape)}; SAM)'
    for norm in ('norm1', 'attn.q_norm'):
        name = f'blocks.0.{norm}.'
        if f'{name}weight' in model.state and f'{name}bias' not in model.state:
            yield f'norms without bias (RMS norm, {name}weight)'


def by_word(model: Model) -> Iterator[str]:
    """What a timm model says of itself."""
    said = model.said
    act = said.get('timm.act', 'gelu')
    if act not in ACTIVATIONS:
        yield f'an activation of its own in its MLPs ({act})'
    if not said.get('timm.norm_first', True):
        yield 'norms after attention and MLP (post-norm blocks)'
    if isinstance(said.get('timm.rope'), str) and said['timm.rope'] not in ROPES:
        yield f'rotary positions of a kind of its own ({said["timm.rope"]})'


def refuse_unclear(model: Model, given: Mapping[str, Any]) -> None:
    """Raises CheckpointError where released models that compute different things look alike.

    Args:
        given: constructor arguments that the caller or the dialect names. They settle it, and so
            does timm's word on the model.
    """
    if model.said.get('timm'):
        return
    found = next(unclear(model, given), None)
    if found:
        raise CheckpointError(
            f'checkpoint {model.name} {found} timm:NAME@FILE with the NAME of the model in timm'
        )


def unclear(model: Model, given: Mapping[str, Any]) -> Iterator[str]:
    """What a ViT's weights leave open, and what to give."""
    state = model.state
    relative = any('relative_position' in key for key in state)
    plain = not model.has(r'blocks\.0\.(gamma_1|ls1)')
    within = model.prefix.endswith('encoder.')  # SimMIM, BEiT v2's tokenizer
    pooled = model.has(r'attn_pool\.')
    bare_bias = 'blocks.0.attn.q_bias' in state and plain and not relative and not within
    tokens = {'cls_token', 'reg_token', 'dist_token'} & set(state)
    late = 'fc_norm.weight' in state and 'norm.weight' not in state and not tokens
    if bare_bias and stem(state) == ENORMOUS:
        yield 'is as wide as the enormous EVA-02, whose norms come after the branches; give'
    if late and plain and not relative and stem(state) == RPN:
        yield 'is a ViT-B/16 without CLS token, whose norms may come after the branches; give'
    if 'rope' not in given and not relative and model.has(r'blocks\.0\.norm1\.'):
        ask = f"{give('rope=...')}: 'none', {', '.join(map(repr, ROPES))}; or"
        scaled = 'blocks.0.gamma_1' in state and 'blocks.0.attn.q_bias' not in state
        if not model.has(r'pos_embed|blocks\.\d+\.attn\.rel_pos'):
            yield f'has no positions among its weights, as with rotary ones; {ask}'
        elif model.has(r'blocks\.0\.(attn\.q_proj|mlp\.fc1_g)\.') or bare_bias or scaled:
            yield f'is an EVA or the like, whose rotary positions leave no weights; {ask}'
        elif model.has(r'norm_pre\.') and (pooled or 'norm.weight' not in state):
            yield f'is a Perception Encoder or a CLIP, with rotary positions or without; {ask}'
    averaged = 'norm.weight' in state and 'pos_embed' in state and not tokens
    joint = plain and not relative and 'blocks.0.attn.qkv.bias' in state
    windowed = model.has(r'blocks\.\d+\.attn\.rel_pos')
    if 'act' not in given and averaged and joint and not windowed and stem(state)[0] in SIGLIP:
        yield (
            'is a ViT without CLS token, with GELU as I-JEPA or its tanh approximation as SigLIP; '
            f"{give('act=...')}: 'gelu', 'gelu_tanh'; or"
        )
    if 'act' not in given and (pooled or model.has(r'norm_pre\.|ln_pre\.|pre_layrnorm\.')):
        yield (
            'is a CLIP or SigLIP, whose weights do not show the activation of its MLPs; '
            f"{give('act=...')}: 'quick_gelu' (OpenAI's own), 'gelu_tanh' (SigLIP), 'gelu'; or"
        )


def stem(state: dict[str, Tensor]) -> tuple[int, int]:
    """Width and patch of the embedding."""
    width, _, patch, _ = state['patch_embed.proj.weight'].shape
    return width, patch
