"""MAE-Lite and its distilled students. Source: wangsr126/MAE-Lite, projects/mae_lite.

The light decoder (96 wide, one block) tells its pre-training files from MAE's. Distillation files
hold the student under `model.`, its teacher under `tch_model.` and head adapters. The student of
D2-MAE-Lite has a 13th block that only makes attention logits: norm1 and qkv, nothing else. The
Swin student decodes from its second stage, whose width the file's norm then has.
"""

import re

from mim_backbones.checkpoints.choose import Model
from mim_backbones.checkpoints.dialects.base import Dialect, Translated
from mim_backbones.checkpoints.dialects.rules import (
    BEIT,
    CORE,
    HEADS,
    MAE_DECODER,
)
from mim_backbones.checkpoints.dialects.rules import (
    SWIN as SWIN_CORE,
)

DECODER_WIDTH = 96
HEADS_OF_ALL_SIZES = 12
DISTILLED_BLOCK = 'block that exists for distillation only'
EARLY_NORM = 'norm before the decoder, of an earlier stage'


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


class Student(Dialect):
    """Leaves out blocks without an MLP, and a norm that is not the last stage's."""

    def translate(self, model: Model) -> Translated:
        result = super().translate(model)
        state = result.state
        whole = {m[0] for key in state if (m := re.match(r'(layers\.\d+\.)?blocks\.\d+\.', key))}
        cut = tuple(block for block in whole if f'{block}mlp.fc2.weight' not in state)
        unwanted = {key: DISTILLED_BLOCK for key in state if key.startswith(cut)}
        last = [value for key, value in state.items() if key.endswith('.mlp.fc2.bias')]
        if last and 'norm.weight' in state and len(state['norm.weight']) != len(last[-1]):
            unwanted |= dict.fromkeys(('norm.weight', 'norm.bias'), EARLY_NORM)
        for key, reason in unwanted.items():
            result.ignore(reason, key)
            del state[key]
        return result


VIT = Student(
    name='MAE-Lite',
    source='wangsr126/MAE-Lite',
    family='vit',
    recognise=recognise,
    rules=(*CORE, *BEIT, *MAE_DECODER, *HEADS),
    options=options,
)
SWIN = Student(
    name='MAE-Lite Swin',
    source='wangsr126/MAE-Lite',
    family='swin',
    recognise=lambda model: (
        model.prefix.endswith('encoder.')
        and model.beside(r'\bdecoder_pred\.')
        and model.has(r'layers\.0\.blocks\.0\.attn\.')
    ),
    rules=SWIN_CORE,
)
