"""MoCo v3: the base encoder. Source: facebookresearch/moco-v3."""

from mim_backbones.checkpoints.choose import Model
from mim_backbones.checkpoints.dialects.base import Dialect
from mim_backbones.checkpoints.dialects.rules import CORE, HEADS

# vits.py: ViT-S has 12 heads, unlike DeiT's 6; MAE-Lite's ViT-T run has 12 too.
HEADS_OF_ALL_BUT_LARGE = 12


def recognise(model: Model) -> bool:
    ours = model.prefix.endswith(('base_encoder.', 'momentum_encoder.'))
    return ours and model.has(r'blocks\.0\.norm1\.')


def options(model: Model) -> dict[str, int]:
    width = model.state['patch_embed.proj.weight'].shape[0]
    return {'num_heads': HEADS_OF_ALL_BUT_LARGE} if width <= 768 else {}


VIT = Dialect(
    name='MoCo v3',
    source='facebookresearch/moco-v3',
    family='vit',
    recognise=recognise,
    rules=(*CORE, *HEADS),
    options=options,
)
