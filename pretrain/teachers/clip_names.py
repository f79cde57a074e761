"""CLIP's image tower under timm's names, whoever saved it: OpenAI, open_clip, Hugging Face, timm.

Sources: openai/CLIP clip/model.py (open_clip has the same names), huggingface/transformers
models/clip, huggingface/pytorch-image-models vision_transformer.py.
"""

import re

import torch
from torch import Tensor

State = dict[str, Tensor]
Rules = tuple[tuple[str, str], ...]

OPENAI: Rules = (
    (r'class_embedding', 'cls_token'),
    (r'positional_embedding', 'pos_embed'),
    (r'conv1\.weight', 'patch_embed.proj.weight'),
    (r'ln_pre\.(weight|bias)', r'norm_pre.\1'),
    (r'ln_post\.(weight|bias)', r'norm.\1'),
    (r'proj', 'head.weight'),
    (r'transformer\.resblocks\.(\d+)\.ln_([12])\.(weight|bias)', r'blocks.\1.norm\2.\3'),
    (r'transformer\.resblocks\.(\d+)\.attn\.in_proj_(weight|bias)', r'blocks.\1.attn.qkv.\2'),
    (r'transformer\.resblocks\.(\d+)\.attn\.out_proj\.(weight|bias)', r'blocks.\1.attn.proj.\2'),
    (r'transformer\.resblocks\.(\d+)\.mlp\.c_fc\.(weight|bias)', r'blocks.\1.mlp.fc1.\2'),
    (r'transformer\.resblocks\.(\d+)\.mlp\.c_proj\.(weight|bias)', r'blocks.\1.mlp.fc2.\2'),
)
LAYER = r'vision_model\.encoder\.layers\.(\d+)\.'
HUGGING_FACE: Rules = (
    (r'vision_model\.embeddings\.class_embedding', 'cls_token'),
    (r'vision_model\.embeddings\.position_embedding\.weight', 'pos_embed'),
    (r'vision_model\.embeddings\.patch_embedding\.weight', 'patch_embed.proj.weight'),
    (r'vision_model\.pre_layrnorm\.(weight|bias)', r'norm_pre.\1'),  # spelt so there
    (r'vision_model\.post_layernorm\.(weight|bias)', r'norm.\1'),
    (r'visual_projection\.weight', 'head.weight'),
    (LAYER + r'layer_norm([12])\.(weight|bias)', r'blocks.\1.norm\2.\3'),
    (LAYER + r'self_attn\.([qkv])_proj\.(weight|bias)', r'blocks.\1.attn.\2.\3'),
    (LAYER + r'self_attn\.out_proj\.(weight|bias)', r'blocks.\1.attn.proj.\2'),
    (LAYER + r'mlp\.fc([12])\.(weight|bias)', r'blocks.\1.mlp.fc\2.\3'),
)
TIMM: Rules = (
    (r'(cls_token|pos_embed|patch_embed\.proj\.weight|head\.weight)', r'\1'),
    (r'((norm_pre|norm)\.(weight|bias))', r'\1'),
    (r'(blocks\.\d+\.(norm[12]|attn\.(qkv|proj)|mlp\.fc[12])\.(weight|bias))', r'\1'),
)
# What only that layout has, behind any prefix; and its names.
LAYOUTS = (
    (re.compile(r'(.*\.|)ln_pre\.weight'), OPENAI),
    (re.compile(r'(.*\.|)vision_model\.pre_layrnorm\.weight'), HUGGING_FACE),
    (re.compile(r'(.*\.|)norm_pre\.weight'), TIMM),
)


def clip_image_tower(tensors: State) -> State:
    """Weights of the image tower in float32, timm's names; empty where there is no CLIP.

    The text tower and everything else is left out.
    """
    for mark, rules in LAYOUTS:
        prefix = next((m[1] for key in tensors if (m := mark.fullmatch(key))), None)
        if prefix is not None:
            own = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
            return shaped(renamed(own, rules))
    return {}


def renamed(tensors: State, rules: Rules) -> State:
    patterns = [(re.compile(pattern), target) for pattern, target in rules]
    state = {}
    for key, value in tensors.items():
        for pattern, target in patterns:
            match = pattern.fullmatch(key)
            if match:
                state[match.expand(target)] = value.float()
    if rules is OPENAI and 'head.weight' in state:
        state['head.weight'] = state['head.weight'].T  # OpenAI multiplies by it from the right
    return state


def shaped(state: State) -> State:
    """One tensor for q, k and v, and the leading axes of timm's tokens."""
    for key in [key for key in state if '.attn.q.' in key]:
        parts = [key.replace('.attn.q.', f'.attn.{part}.') for part in 'qkv']
        if all(part in state for part in parts):
            state[key.replace('.attn.q.', '.attn.qkv.')] = torch.cat([state.pop(p) for p in parts])
    if 'cls_token' in state:
        state['cls_token'] = state['cls_token'].reshape(1, 1, -1)
    if 'pos_embed' in state:
        state['pos_embed'] = state['pos_embed'].reshape(1, -1, state['pos_embed'].shape[-1])
    return state
