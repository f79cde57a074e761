"""MAE-Lite and its distilled students. Source: wangsr126/MAE-Lite, projects/mae_lite.

The light decoder (96 wide, one block) tells its pre-training files from MAE's. Distillation files
hold the student under `model.`, its teacher under `tch_model.` and head adapters. The student of
D2-MAE-Lite has a 13th block that only makes attention logits: norm1 and qkv, nothing else.
"""

import re

from mim_backbones.checkpoint_model import Model
from mim_backbones.dialects.base import Dialect, Ignored, Translated
from mim_backbones.dialects.vit_rules import BEIT, CORE, HEADS, MAE_DECODER

DECODER_WIDTH = 96
HEADS_OF_ALL_SIZES = 12
DISTILLED_BLOCK = Ignored('block that exists for distillation only')


def recognise(model: Model) -> bool:
    if not model.has(r'blocks\.0\.norm1\.'):
        return False
    decoder = model.state.get('decoder_embed.weight')
    light = decoder is not None and len(decoder) == DECODER_WIDTH
    return light or model.beside(r'\b(tch_model|attn_adapter)\.')


def options(model: Model) -> dict[str, int]:
    """Heads: of the adapter (teacher heads, student heads, 1, 1), else the project's 12."""
    for key, value in model.outside.items():
        if 'attn_adapter.' in key and value.ndim == 4:
            return {'num_heads': value.shape[1]}
    return {'num_heads': HEADS_OF_ALL_SIZES}


class MAELite(Dialect):
    """Leaves out blocks without an attention output."""

    def translate(self, model: Model) -> Translated:
        result = super().translate(model)
        whole = {m[1] for key in result.state if (m := re.match(r'(blocks\.\d+\.)mlp\.', key))}
        for name in [n for n in result.state if n.startswith('blocks.')]:
            if not name.startswith(tuple(whole)):
                result.ignore(DISTILLED_BLOCK.reason, name)
                del result.state[name]
        return result


VIT = MAELite(
    name='MAE-Lite',
    source='wangsr126/MAE-Lite',
    family='vit',
    recognise=recognise,
    rules=(*CORE, *BEIT, *MAE_DECODER, *HEADS),
    options=options,
)
