"""Parts of a ViT's block that sources store apart and we as one: their names, and the joining."""

import torch
from torch import Tensor

from mim_backbones.checkpoints.dialects.base import Rule, State
from mim_backbones.checkpoints.safe.weights_file import CheckpointError

BLOCK = r'(blocks\.\d+\.)'
# A matrix for each of query, key and value, or of a SwiGLU's gate and value: timm's names,
# DINOv3's and EVA-02's. `joined` takes them from here.
APART: tuple[Rule, ...] = (
    (BLOCK + r'attn\.([qkv])_proj\.(weight|bias)', r'\1attn.\2_proj.\3'),
    (BLOCK + r'mlp\.(?:w1|fc1_g)\.(weight|bias)', r'\1mlp.gate.\2'),
    (BLOCK + r'mlp\.(?:w2|fc1_x)\.(weight|bias)', r'\1mlp.value.\2'),
    (BLOCK + r'mlp\.w12\.(weight|bias)', r'\1mlp.fc1.\2'),
    (BLOCK + r'mlp\.w3\.(weight|bias)', r'\1mlp.fc2.\2'),
)


def joined(state: State) -> State:
    """One `qkv` and one `fc1` (the gate first). A key without bias leaves q_bias and v_bias.

    Raises:
        CheckpointError: a part lacks its others, or keys have fewer heads than queries.
    """
    result = dict(state)
    for key in state:
        stem, _, part = key.rpartition('.')
        if stem.endswith('.gate'):
            mlp = stem.removesuffix('gate')
            result[f'{mlp}fc1.{part}'] = together(result, [f'{mlp}gate', f'{mlp}value'], part)
        elif stem.endswith('.q_proj') and part == 'weight':
            attn = stem.removesuffix('q_proj')
            parts = [f'{attn}{which}_proj' for which in 'qkv']
            result[f'{attn}qkv.weight'] = together(result, parts, part)
            if f'{attn}k_proj.bias' in result:
                result[f'{attn}qkv.bias'] = together(result, parts, 'bias')
            elif f'{attn}q_proj.bias' in result:
                result[f'{attn}q_bias'] = result.pop(f'{attn}q_proj.bias')
                result[f'{attn}v_bias'] = result.pop(f'{attn}v_proj.bias')
    return result


def together(state: State, parts: list[str], name: str) -> Tensor:
    """The tensors `name` of the parts, one after the other, taken out of `state`."""
    absent = [f'{part}.{name}' for part in parts if f'{part}.{name}' not in state]
    if absent:
        raise CheckpointError(f'the checkpoint lacks {absent[0]} beside {parts[0]}.{name}')
    tensors = [state.pop(f'{part}.{name}') for part in parts]
    if len({tensor.shape for tensor in tensors}) > 1:
        shapes = ', '.join(str(tuple(tensor.shape)) for tensor in tensors)
        raise CheckpointError(
            f'{", ".join(parts)} have different shapes ({shapes}): several heads of queries share '
            'one of keys (grouped queries), which no backbone of mimbench computes'
        )
    return torch.cat(tensors)
