"""A ViT's encoder and nothing else: MAE's small files, DINO's, iBOT's and MoCo's extracted ones.

They share their names (DeiT's, from timm 0.3), so the report cannot say which one it was.
"""

from mim_backbones.checkpoints.choose import Model
from mim_backbones.checkpoints.dialects.base import Dialect
from mim_backbones.checkpoints.dialects.vit_rules import CORE, HEADS, LAYER_SCALE, MASK_TOKEN


def recognise(model: Model) -> bool:
    return model.has(r'blocks\.0\.norm1\.weight') and model.has(r'blocks\.0\.attn\.qkv\.weight')


VIT = Dialect(
    name='plain ViT (encoder of MAE, DINO, iBOT, MoCo v3 or timm)',
    source='facebookresearch/mae and others',
    family='vit',
    recognise=recognise,
    rules=(*CORE, *MASK_TOKEN, *LAYER_SCALE, *HEADS),
)
