"""Our names -> timm's. Source: huggingface/pytorch-image-models."""

import re

from torch import Tensor

State = dict[str, Tensor]


def timm_state(family: str, state: State) -> State:
    """Weights as timm's model of the family names and shapes them."""
    return {'vit': vit, 'swin': swin, 'hiera': hiera}[family](state)


def vit(state: State) -> State:
    """BEiT's names where there are relative tables, else ViT's.

    With registers timm has positions of patches only (DINOv2): the CLS token takes its own along.
    """
    state = dict(state)
    if 'register_tokens' in state and 'pos_embed' in state:
        table = state['pos_embed']
        state['cls_token'] = state['cls_token'] + table[:, :1]
        state['pos_embed'] = table[:, 1:]
    beit = any('q_bias' in key or 'relative_position' in key for key in state)
    new = {}
    for key, value in state.items():
        key = key.replace('register_tokens', 'reg_token')
        key = re.sub(r'^(blocks\.\d+)\.rel_pos_bias\.', r'\1.attn.', key)
        new[key if beit else re.sub(r'\.gamma_([12])$', r'.ls\1.gamma', key)] = value
    return new


def swin(state: State) -> State:
    """A merging opens the stage it leads to."""

    def later(match: re.Match[str]) -> str:
        return f'layers.{int(match[1]) + 1}.downsample'

    return {re.sub(r'^layers\.(\d+)\.downsample', later, key): v for key, v in state.items()}


def hiera(state: State) -> State:
    """The norm of the pooled vector belongs to the head."""
    return {re.sub(r'^fc_norm\.', 'head.norm.', key): value for key, value in state.items()}
