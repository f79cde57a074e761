"""Our names -> OpenMMLab's: mmpretrain's ViT and BEiT, everybody's Swin.

Source: open-mmlab/mmpretrain, mmsegmentation, mmdetection.
"""

import re

from torch import Tensor

from mim_backbones.errors import UserError

State = dict[str, Tensor]
NEW = 'backbone.'


def openmmlab_state(family: str, state: State) -> State:
    """Weights as OpenMMLab's backbone of the family has them, under `backbone.`.

    Raises:
        UserError: OpenMMLab has no such backbone.
    """
    if family == 'hiera':
        raise UserError('OpenMMLab has no Hiera; convert to timm, mimbench or safetensors')
    new = vit(state) if family == 'vit' else swin(state)
    return {NEW + key: value.contiguous() for key, value in new.items()}


def vit(state: State) -> State:
    """BEiT's layer scale where there are relative tables or q and v biases, else the ViT's."""
    foreign = next((k for k in state if 'rel_pos_h' in k or k == 'register_tokens'), None)
    if foreign:
        raise UserError(
            f"OpenMMLab's ViT has no place for {foreign}; convert to timm, mimbench or safetensors"
        )
    beit = any('q_bias' in key or 'relative_position' in key for key in state)
    new = {}
    for key, value in state.items():
        key = re.sub(r'^blocks\.', 'layers.', key)
        key = re.sub(r'\.norm([12])\.', r'.ln\1.', key)
        key = key.replace('.mlp.fc1.', '.ffn.layers.0.0.').replace('.mlp.fc2.', '.ffn.layers.1.')
        key = re.sub(r'^(layers\.\d+)\.rel_pos_bias\.', r'\1.attn.', key)
        if not beit:
            key = key.replace('.gamma_1', '.attn.gamma1.weight')
            key = key.replace('.gamma_2', '.ffn.gamma2.weight')
        key = re.sub(r'^norm\.', 'ln1.', key)
        key = re.sub(r'^fc_norm\.', 'ln2.', key)
        new[key.replace('patch_embed.proj.', 'patch_embed.projection.')] = value
    return new


def swin(state: State) -> State:
    """Names, and the four neighbours of a merging channel by channel in row-major order."""
    if any('logit_scale' in key for key in state):
        raise UserError(
            "OpenMMLab's Swin V2 is mmpretrain's alone; convert to timm, mimbench or safetensors"
        )
    last = max(int(key.split('.')[1]) for key in state if key.startswith('layers.'))
    new = {}
    for key, value in state.items():
        if '.downsample.' in key:
            value = value.unflatten(-1, (2, 2, -1)).transpose(-1, -3).flatten(-3)
        key = re.sub(r'^layers\.', 'stages.', key).replace('.attn.', '.attn.w_msa.')
        key = key.replace('.mlp.fc1.', '.ffn.layers.0.0.').replace('.mlp.fc2.', '.ffn.layers.1.')
        key = re.sub(r'^norm\.', f'norm{last}.', key)
        new[key.replace('patch_embed.proj.', 'patch_embed.projection.')] = value
    return new
