"""MAE with its decoder, and encoders without. Source: facebookresearch/mae.

MAE's small public files hold the encoder only, in DeiT's names (from timm 0.3), as do the extracted
ones of DINO, iBOT and MoCo v3: the report cannot say which one it was.
"""

from mim_backbones.checkpoints.choose import Model
from mim_backbones.checkpoints.dialects.base import Dialect
from mim_backbones.checkpoints.dialects.rules import (
    CORE,
    HEADS,
    LAYER_SCALE,
    MAE_DECODER,
    MASK_TOKEN,
)


def with_decoder(model: Model) -> bool:
    return model.has(r'decoder_embed\.weight') and model.has(r'blocks\.0\.norm1\.')


def encoder_alone(model: Model) -> bool:
    return model.has(r'blocks\.0\.norm1\.weight') and model.has(r'blocks\.0\.attn\.qkv\.weight')


VIT = Dialect(
    name='MAE',
    source='facebookresearch/mae',
    family='vit',
    recognise=with_decoder,
    rules=(*CORE, *MAE_DECODER, *HEADS),
)
ENCODER = Dialect(
    name='plain ViT (encoder of MAE, DINO, iBOT, MoCo v3 or timm)',
    source='facebookresearch/mae and others',
    family='vit',
    recognise=encoder_alone,
    rules=(*CORE, *MASK_TOKEN, *LAYER_SCALE, *HEADS),
)
