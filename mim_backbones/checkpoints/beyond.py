"""What a checkpoint's backbone has and ours do not run, and what no weight shows of it.

The one place that turns a model away for what it is, told from its names and its own words. A part
that a backbone learns to run loses its row here and gains an option in `shapes/`.
"""

import re
from collections.abc import Iterator

from torch import Tensor

from mim_backbones.checkpoints.choose import Model
from mim_backbones.checkpoints.safe.weights_file import CheckpointError

ROPE = r'(.*\.)?(rope|freqs)'
# Names below the backbone's prefix, matched from their start -> the part, in the user's words.
PARTS: tuple[tuple[str, str], ...] = (
    (r'blocks\.\d+\.mlp\.(w12|w[123]|fc1_[gx])\.', 'gated MLPs (SwiGLU)'),
    (r'blocks\.\d+\.mlp\.norm\.', 'a norm inside its MLPs'),
    (r'blocks\.\d+\.attn\.norm\.', 'a norm inside its attention'),
    (r'blocks\.\d+\.attn\.(q_norm|k_norm|qk_norm|scale)', 'norms of queries and keys'),
    (
        r'blocks\.\d+\.attn\.(q|k|v|kv|q_proj|k_proj|v_proj|qk)\.',
        'separate projections of queries, keys and values',
    ),
    (r'blocks\.\d+\.(attns|ffns)\.', 'parallel branches of attention'),
    (r'blocks\.\d+\.in_proj\.', 'attention and MLP side by side in one block'),
    (r'norm_pre\.', 'a norm before its blocks (CLIP)'),
    (ROPE, 'rotary positions'),
    (r'(.*\.)?rel_pos\.mlp\.|shared_rel_pos\.mlp\.', 'relative positions made by an MLP'),
    (r'blocks\.\d+\.attn\.proj_[lw]\.', 'talking heads (CaiT)'),
    (r'pos_embed_win', 'positions that repeat from window to window'),
)
POST_NORM = (768, 16)  # width and patch of timm's vit_base_patch16_rpn_224
ACTIVATIONS = {'gelu_tanh': 'the tanh approximation of GELU', 'quick_gelu': 'QuickGELU'}


def refuse_beyond(model: Model) -> None:
    """Raises CheckpointError when the model has parts that no backbone here runs; names them."""
    if model.record is not None:
        return  # ours, and it says what it is
    found = list(by_name(model)) or list(by_blocks(model))
    found += [*by_shape(model), *by_word(model)]
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
    state, block = model.state, 'blocks.0.'
    wide, narrow = (state.get(f'{block}mlp.fc{i}.weight') for i in (1, 2))
    if wide is not None and narrow is not None and len(wide) == 2 * narrow.shape[1]:
        yield f'gated MLPs (SwiGLU, {block}mlp.fc1.weight is twice as wide as {block}mlp.fc2)'
    positions = state.get('pos_embed')
    if positions is not None and positions.ndim == 4:
        yield f'positions as a map (pos_embed of shape {tuple(positions.shape)}; SAM)'
    norm = f'{block}norm1.'
    if f'{norm}weight' in state and f'{norm}bias' not in state:
        yield f'norms without bias (RMS norm, {norm}weight)'


def by_blocks(model: Model) -> Iterator[str]:
    """Blocks as timm has them for rotary positions, which themselves leave no trace in weights."""
    state, block = model.state, 'blocks.0.'
    scaled, qv = f'{block}gamma_1' in state, f'{block}attn.q_bias' in state
    relative = any('relative_position' in key or 'rel_pos' in key for key in state)
    rotary = (scaled and not qv) or ('reg_token' in state and (scaled or qv))
    if rotary and not relative and 'register_tokens' not in state:
        sign = f'{block}gamma_1' if scaled else 'reg_token'
        yield f'blocks as of DINOv3 and other ViTs with rotary positions ({sign})'


def by_word(model: Model) -> Iterator[str]:
    """What a timm model says of itself."""
    said = model.said
    act = said.get('timm.act', 'gelu')
    if act != 'gelu':
        yield f'another activation than GELU in its MLPs ({ACTIVATIONS.get(act, act)})'
    if not said.get('timm.norm_first', True):
        yield 'norms after attention and MLP (post-norm blocks)'
    if said.get('timm.rope') and not model.has(ROPE):
        yield 'rotary positions'


def refuse_unclear(model: Model) -> None:
    """Raises CheckpointError where released models that compute different things look alike.

    timm's word on the model settles it.
    """
    state = model.state
    if model.said.get('timm') or 'blocks.0.norm1.weight' not in state:
        return
    relative = any('relative_position' in key for key in state)
    plain = not any(key.startswith(('blocks.0.gamma_1', 'blocks.0.ls1')) for key in state)
    tokens = {'cls_token', 'reg_token', 'dist_token'} & set(state)
    within = model.prefix.endswith('encoder.')  # SimMIM, BEiT v2's tokenizer
    pooled = 'fc_norm.weight' in state and 'norm.weight' not in state
    found = ''
    if 'blocks.0.attn.q_bias' in state and plain and not relative and not within:
        found = 'is an EVA (q and v biases, neither relative positions nor layer scale)'
    elif pooled and plain and not tokens and stem(state) == POST_NORM:
        found = 'is a ViT-B/16 without CLS token, normed after pooling'
    if found:
        raise CheckpointError(
            f'checkpoint {model.name} {found}: models of timm with such weights compute different '
            'things; give timm:NAME@FILE, with the NAME of the model in timm'
        )


def stem(state: dict[str, Tensor]) -> tuple[int, int]:
    """Width and patch of the embedding."""
    width, _, patch, _ = state['patch_embed.proj.weight'].shape
    return width, patch
