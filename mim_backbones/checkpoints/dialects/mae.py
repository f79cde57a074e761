"""MAE with its decoder. Source: facebookresearch/mae.

The small public files hold the encoder only and look like any plain ViT (`plain_vit`).
"""

from mim_backbones.checkpoints.choose import Model
from mim_backbones.checkpoints.dialects.base import Dialect
from mim_backbones.checkpoints.dialects.vit_rules import CORE, HEADS, MAE_DECODER


def recognise(model: Model) -> bool:
    return model.has(r'decoder_embed\.weight') and model.has(r'blocks\.0\.norm1\.')


VIT = Dialect(
    name='MAE',
    source='facebookresearch/mae',
    family='vit',
    recognise=recognise,
    rules=(*CORE, *MAE_DECODER, *HEADS),
)
