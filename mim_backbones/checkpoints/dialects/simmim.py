"""SimMIM: `encoder.` (ViT, Swin V1 or V2) and a one-layer decoder. Source: microsoft/SimMIM."""

from mim_backbones.checkpoints.choose import Model
from mim_backbones.checkpoints.dialects.base import Dialect
from mim_backbones.checkpoints.dialects.rules import BEIT, CORE, HEADS, MASK_TOKEN, SWIN_V2
from mim_backbones.checkpoints.dialects.swin import windows_of_buffers


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


def recognise_swin(model: Model) -> bool:
    return (
        model.prefix.endswith('encoder.')
        and model.beside(r'decoder\.0\.weight')
        and model.has(r'layers\.0\.blocks\.0\.attn\.')
    )


SWIN = Dialect(
    name='SimMIM Swin',
    source='microsoft/SimMIM',
    family='swin',
    recognise=recognise_swin,
    rules=SWIN_V2,
    options=windows_of_buffers,
)
