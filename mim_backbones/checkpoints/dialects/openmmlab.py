"""ViT, MAE, BEiT, BEiT v2 and Swin in OpenMMLab's names.

Sources: open-mmlab/mmpretrain (VisionTransformer, MAEViT, BEiTViT, SwinTransformer),
open-mmlab/mmsegmentation (BEiT, MAE, VisionTransformer, SwinTransformer), open-mmlab/mmdetection
(SwinTransformer).

mmsegmentation's ViT keeps torch's attention module and may have a patch projection without bias,
which equals one of zeros; its BEiT and MAE have LayerNorm's default eps of 1e-5 where the originals
have 1e-6. Swin's patch merging unfolds its four neighbours channel by channel, in row-major order;
officially they are four blocks of channels in column-major order, so norm and reduction are
reordered here.
"""

import re

import torch
from torch import Tensor

from mim_backbones.checkpoints.choose import Model
from mim_backbones.checkpoints.dialects.base import Dialect, Ignored, Rule, State
from mim_backbones.checkpoints.dialects.rules import CLASSIFIER, INDEX, SAME

SEGMENTER = r'(^|\.)(decode|auxiliary)_head\.'
DETECTOR = r'(^|\.)(\w+_head|bbox_\w+)\.'
VIT_RULES: tuple[Rule, ...] = (
    (r'(cls_token|pos_embed|mask_token)', SAME),
    (r'patch_embed\.projection\.(weight|bias)', r'patch_embed.proj.\1'),
    (r'layers\.(\d+)\.ln([12])\.(weight|bias)', r'blocks.\1.norm\2.\3'),
    (r'layers\.(\d+)\.attn\.(qkv|proj)\.(weight|bias)', r'blocks.\1.attn.\2.\3'),
    (r'layers\.(\d+)\.attn\.attn\.in_proj_(weight|bias)', r'blocks.\1.attn.qkv.\2'),
    (r'layers\.(\d+)\.attn\.attn\.out_proj\.(weight|bias)', r'blocks.\1.attn.proj.\2'),
    (r'layers\.(\d+)\.attn\.([qv]_bias)', r'blocks.\1.attn.\2'),
    (r'layers\.(\d+)\.ffn\.layers\.0\.0\.(weight|bias)', r'blocks.\1.mlp.fc1.\2'),
    (r'layers\.(\d+)\.ffn\.layers\.1\.(weight|bias)', r'blocks.\1.mlp.fc2.\2'),
    (r'layers\.(\d+)\.(gamma_[12])', r'blocks.\1.\2'),
    (r'layers\.(\d+)\.attn\.gamma1\.weight', r'blocks.\1.gamma_1'),
    (r'layers\.(\d+)\.ffn\.gamma2\.weight', r'blocks.\1.gamma_2'),
    (r'layers\.(\d+)\.attn\.(relative_position_bias_table)', r'blocks.\1.rel_pos_bias.\2'),
    (r'rel_pos_bias\.relative_position_bias_table', SAME),
    (r'(.*\.)?relative_position_index', INDEX),
    (r'ln1\.(weight|bias)', r'norm.\1'),
    (r'ln2\.(weight|bias)', r'fc_norm.\1'),
    (r'head\..*', CLASSIFIER),
    (r'fpn\d\..*', Ignored('neck')),
)
BLOCK = r'stages\.(\d+)\.blocks\.(\d+)\.'
OURS = r'layers.\1.blocks.\2.'
SWIN_RULES: tuple[Rule, ...] = (
    (r'absolute_pos_embed|mask_token', SAME),
    (r'patch_embed\.projection\.(weight|bias)', r'patch_embed.proj.\1'),
    (r'patch_embed\.norm\.(weight|bias)', SAME),
    (BLOCK + r'(norm[12])\.(weight|bias)', OURS + r'\3.\4'),
    (BLOCK + r'attn\.w_msa\.(qkv|proj)\.(weight|bias)', OURS + r'attn.\3.\4'),
    (BLOCK + r'attn\.w_msa\.(relative_position_bias_table)', OURS + r'attn.\3'),
    (BLOCK + r'ffn\.layers\.0\.0\.(weight|bias)', OURS + r'mlp.fc1.\3'),
    (BLOCK + r'ffn\.layers\.1\.(weight|bias)', OURS + r'mlp.fc2.\3'),
    (
        r'stages\.(\d+)\.downsample\.(norm\.(?:weight|bias)|reduction\.weight)',
        r'layers.\1.downsample.\2',
    ),
    (r'norm(\d)\.(weight|bias)', SAME),
    (r'.*\.(relative_position_index|attn_mask)', INDEX),
    (r'head\..*', CLASSIFIER),
)


def is_vit(model: Model) -> bool:
    return model.has(r'layers\.0\.ln1\.') and model.has(r'patch_embed\.projection\.')


def is_segmenters_vit(model: Model) -> bool:
    own = model.has(r'layers\.0\.attn\.attn\.') or model.beside(SEGMENTER)
    return is_vit(model) and own


def is_swin(model: Model) -> bool:
    return model.has(r'stages\.0\.blocks\.0\.attn\.w_msa\.')


def as_classified(model: Model) -> dict[str, str]:
    """mmpretrain's classifiers do not pad small maps; a backbone alone tells nothing."""
    return {'small_maps': 'shrink'} if model.beside(r'(^|\.)head\.') else {}


def with_patch_bias(state: State, model: Model) -> State:
    weight = state.get('patch_embed.proj.weight')
    if weight is not None and 'patch_embed.proj.bias' not in state:
        state['patch_embed.proj.bias'] = torch.zeros(len(weight), dtype=weight.dtype)
    return state


def default_eps(model: Model) -> dict[str, float]:
    return {'norm_eps': 1e-5} if model.has(r'layers\.0\.gamma_1') else {}


def official_order(value: Tensor) -> Tensor:
    """Last axis from (channel, row, column) to (column, row, channel), e.g. (out, 4C) or (4C,)."""
    blocks = value.unflatten(-1, (-1, 2, 2))
    return blocks.transpose(-1, -3).flatten(-3)


def official_swin(state: State, model: Model) -> State:
    """Merging in the official order; a classifier's only norm, of the last stage, is `norm`."""
    for key, value in state.items():
        if re.search(r'\.downsample\.', key):
            state[key] = official_order(value)
    last = max((int(m[1]) for key in state if (m := re.match(r'layers\.(\d+)', key))), default=0)
    norms = {key.split('.')[0] for key in state if re.match(r'norm\d\.', key)}
    if norms == {f'norm{last}'}:
        for name in ('weight', 'bias'):
            state[f'norm.{name}'] = state.pop(f'norm{last}.{name}')
    return state


MMPRETRAIN_VIT = Dialect(
    name='mmpretrain ViT',
    source='open-mmlab/mmpretrain',
    family='vit',
    recognise=is_vit,
    rules=VIT_RULES,
)
MMSEG_VIT = Dialect(
    name='mmsegmentation ViT',
    source='open-mmlab/mmsegmentation',
    family='vit',
    recognise=is_segmenters_vit,
    rules=VIT_RULES,
    adapt=with_patch_bias,
    options=default_eps,
)
MMDET_SWIN = Dialect(
    name='mmdetection Swin',
    source='open-mmlab/mmdetection',
    family='swin',
    recognise=lambda model: is_swin(model) and model.beside(DETECTOR),
    rules=SWIN_RULES,
    adapt=official_swin,
    options=lambda model: {'small_maps': 'pad'},
)
MMSEG_SWIN = Dialect(
    name='mmsegmentation Swin',
    source='open-mmlab/mmsegmentation',
    family='swin',
    recognise=lambda model: is_swin(model) and model.beside(SEGMENTER),
    rules=SWIN_RULES,
    adapt=official_swin,
    options=lambda model: {'small_maps': 'pad'},
)
SWIN = Dialect(
    name='OpenMMLab Swin',
    source='open-mmlab/mmpretrain',
    family='swin',
    recognise=is_swin,
    rules=SWIN_RULES,
    adapt=official_swin,
    options=as_classified,
)
