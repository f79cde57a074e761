"""Image towers of CLIP and SigLIP, whoever saved them: OpenAI, open_clip, Hugging Face.

Sources: openai/CLIP clip/model.py (open_clip has the same names), huggingface/transformers
models/clip and models/siglip. timm's have timm's names. Nothing in CLIP's weights shows the
activation: QuickGELU in OpenAI's own, GELU in most of the others; OpenAI's whole files also hold
numbers such as `input_resolution`. SigLIP has no CLS token and the tanh approximation throughout.
"""

from typing import Any

from mim_backbones.checkpoints.choose import Model
from mim_backbones.checkpoints.dialects.base import Dialect, Rule, State
from mim_backbones.checkpoints.dialects.parts import APART, joined
from mim_backbones.checkpoints.dialects.rules import CLASSIFIER, INDEX

PARAM = r'(weight|bias)'
RESBLOCK = r'transformer\.resblocks\.(\d+)\.'
OPENAI_RULES: tuple[Rule, ...] = (
    (r'class_embedding', 'cls_token'),
    (r'positional_embedding', 'pos_embed'),
    (r'conv1\.weight', 'patch_embed.proj.weight'),
    (rf'ln_pre\.{PARAM}', r'norm_pre.\1'),
    (rf'ln_post\.{PARAM}', r'norm.\1'),
    (rf'{RESBLOCK}ln_([12])\.{PARAM}', r'blocks.\1.norm\2.\3'),
    (rf'{RESBLOCK}attn\.in_proj_{PARAM}', r'blocks.\1.attn.qkv.\2'),
    (rf'{RESBLOCK}attn\.out_proj\.{PARAM}', r'blocks.\1.attn.proj.\2'),
    (rf'{RESBLOCK}mlp\.c_fc\.{PARAM}', r'blocks.\1.mlp.fc1.\2'),
    (rf'{RESBLOCK}mlp\.c_proj\.{PARAM}', r'blocks.\1.mlp.fc2.\2'),
    (r'proj', CLASSIFIER),
)
LAYER = r'encoder\.layers\.(\d+)\.'
HUGGING_FACE_RULES: tuple[Rule, ...] = (
    (r'embeddings\.class_embedding', 'cls_token'),
    (r'embeddings\.position_embedding\.weight', 'pos_embed'),
    (r'embeddings\.position_ids', INDEX),
    (rf'embeddings\.patch_embedding\.{PARAM}', r'patch_embed.proj.\1'),
    (rf'pre_layrnorm\.{PARAM}', r'norm_pre.\1'),  # spelt so there
    (rf'post_layernorm\.{PARAM}', r'norm.\1'),
    (rf'{LAYER}layer_norm([12])\.{PARAM}', r'blocks.\1.norm\2.\3'),
    (rf'{LAYER}self_attn\.([qkv])_proj\.{PARAM}', r'blocks.\1.attn.\2_proj.\3'),
    (rf'{LAYER}self_attn\.out_proj\.{PARAM}', r'blocks.\1.attn.proj.\2'),
    (rf'{LAYER}mlp\.fc([12])\.{PARAM}', r'blocks.\1.mlp.fc\2.\3'),
    (r'head\..*', CLASSIFIER),
    *APART,
)


def adapt(state: State, model: Model) -> State:
    """One tensor for query, key and value, and the leading axes of our tokens."""
    state = joined(state)
    if 'cls_token' in state:
        state['cls_token'] = state['cls_token'].reshape(1, 1, -1)
    if 'pos_embed' in state:
        state['pos_embed'] = state['pos_embed'].reshape(1, -1, state['pos_embed'].shape[-1])
    return state


def openai_options(model: Model) -> dict[str, Any]:
    own = model.beside(r'^input_resolution$')
    return {'norm_eps': 1e-5, **({'act': 'quick_gelu'} if own else {})}


OPENAI = Dialect(
    name="CLIP (OpenAI's names)",
    source='openai/CLIP, mlfoundations/open_clip',
    family='vit',
    recognise=lambda model: 'conv1.weight' in model.state and 'class_embedding' in model.state,
    rules=OPENAI_RULES,
    adapt=adapt,
    options=openai_options,
    head_width=64,
)
HUGGING_FACE = Dialect(
    name="CLIP (Hugging Face's names)",
    source='huggingface/transformers, models/clip',
    family='vit',
    recognise=lambda model: (
        model.has(r'embeddings\.patch_embedding\.') and model.has('pre_layrnorm')
    ),
    rules=HUGGING_FACE_RULES,
    adapt=adapt,
    options=lambda model: {'norm_eps': 1e-5},
    head_width=64,
)
SIGLIP = Dialect(
    name="SigLIP (Hugging Face's names)",
    source='huggingface/transformers, models/siglip',
    family='vit',
    recognise=lambda model: (
        model.has(r'embeddings\.patch_embedding\.')
        and model.has('post_layernorm')
        and not model.has('pre_layrnorm|embeddings\\.class_embedding')
    ),
    rules=HUGGING_FACE_RULES,
    adapt=adapt,
    options=lambda model: {'act': 'gelu_tanh'},
)
