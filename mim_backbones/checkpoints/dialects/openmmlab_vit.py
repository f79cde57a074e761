"""ViT, MAE, BEiT and BEiT v2 in OpenMMLab's names.

Sources: open-mmlab/mmpretrain (VisionTransformer, MAEViT, BEiTViT), open-mmlab/mmsegmentation
(BEiT, MAE, VisionTransformer). mmsegmentation's ViT keeps torch's attention module and may have a
patch projection without bias, which equals one of zeros; its BEiT and MAE have LayerNorm's default
eps of 1e-5 where the originals have 1e-6.
"""

import torch

from mim_backbones.checkpoints.choose import Model
from mim_backbones.checkpoints.dialects.base import Dialect, Ignored, Rule, State
from mim_backbones.checkpoints.dialects.vit_rules import CLASSIFIER, INDEX, SAME

RULES: tuple[Rule, ...] = (
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
    (
        r'layers\.(\d+)\.attn\.(relative_position_bias_table)',
        r'blocks.\1.rel_pos_bias.\2',
    ),
    (r'rel_pos_bias\.relative_position_bias_table', SAME),
    (r'(.*\.)?relative_position_index', INDEX),
    (r'ln1\.(weight|bias)', r'norm.\1'),
    (r'ln2\.(weight|bias)', r'fc_norm.\1'),
    (r'head\..*', CLASSIFIER),
    (r'fpn\d\..*', Ignored('neck')),
)


def recognise(model: Model) -> bool:
    return model.has(r'layers\.0\.ln1\.') and model.has(r'patch_embed\.projection\.')


def from_segmentation(model: Model) -> bool:
    return recognise(model) and (
        model.has(r'layers\.0\.attn\.attn\.') or model.beside(r'(^|\.)(decode|auxiliary)_head\.')
    )


def with_patch_bias(state: State) -> State:
    weight = state.get('patch_embed.proj.weight')
    if weight is not None and 'patch_embed.proj.bias' not in state:
        state['patch_embed.proj.bias'] = torch.zeros(len(weight), dtype=weight.dtype)
    return state


def default_eps(model: Model) -> dict[str, float]:
    return {'norm_eps': 1e-5} if model.has(r'layers\.0\.gamma_1') else {}


MMPRETRAIN = Dialect(
    name='mmpretrain ViT',
    source='open-mmlab/mmpretrain',
    family='vit',
    recognise=recognise,
    rules=RULES,
)
MMSEG = Dialect(
    name='mmsegmentation ViT',
    source='open-mmlab/mmsegmentation',
    family='vit',
    recognise=from_segmentation,
    rules=RULES,
    adapt=with_patch_bias,
    options=default_eps,
)
