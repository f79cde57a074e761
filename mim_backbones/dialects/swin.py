"""Swin V1 and V2: classifiers and the dense-prediction code. Our names are the same.

Source: microsoft/Swin-Transformer; SwinTransformer/Swin-Transformer-Semantic-Segmentation.
"""

import re
from math import isqrt
from typing import Any

from mim_backbones.checkpoint_model import Model
from mim_backbones.dialects.base import Dialect
from mim_backbones.dialects.swin_rules import CORE, MERGING, V2


def recognise(model: Model) -> bool:
    return model.has(r'layers\.0\.blocks\.0\.attn\.') and model.has(r'layers\.0\.downsample\.')


def window_of_buffers(model: Model) -> dict[str, Any]:
    """V2's weights do not show their window; the index buffers beside them do."""
    sides = [
        isqrt(len(value))
        for key, value in model.state.items()
        if re.fullmatch(r'layers\.\d+\.blocks\.\d+\.attn\.relative_position_index', key)
    ]
    return {'window_size': max(sides)} if sides else {}


V1 = Dialect(
    name='Swin',
    source='microsoft/Swin-Transformer',
    family='swin',
    recognise=recognise,
    rules=(*CORE, *MERGING),
)
SWIN_V2 = Dialect(
    name='Swin V2',
    source='microsoft/Swin-Transformer',
    family='swin',
    recognise=lambda model: recognise(model) and model.has(r'layers\.0\.blocks\.0\.attn\.logit'),
    rules=(*CORE, *MERGING, *V2),
    options=window_of_buffers,
)
