"""SimMIM's ViT: `encoder.` and a one-layer decoder. Source: microsoft/SimMIM."""

from mim_backbones.checkpoint_model import Model
from mim_backbones.dialects.base import Dialect
from mim_backbones.dialects.vit_rules import BEIT, CORE, HEADS, MASK_TOKEN


def recognise(model: Model) -> bool:
    return (
        model.prefix.endswith('encoder.')
        and model.beside(r'decoder\.0\.weight')
        and model.has(r'blocks\.0\.norm1\.')
    )


VIT = Dialect(
    name='SimMIM ViT',
    source='microsoft/SimMIM',
    family='vit',
    recognise=recognise,
    rules=(*CORE, *MASK_TOKEN, *BEIT, *HEADS),
)
