"""timm's Swin V1 and V2. Source: huggingface/pytorch-image-models.

A merging opens the stage it leads to; officially it closes the stage before.
"""

import re

from mim_backbones.checkpoints.choose import Model
from mim_backbones.checkpoints.dialects.base import Dialect, State
from mim_backbones.checkpoints.dialects.swin_rules import CORE, MERGING, V2


def recognise(model: Model) -> bool:
    late = model.has(r'layers\.1\.downsample\.') and not model.has(r'layers\.0\.downsample\.')
    return late and model.has(r'layers\.0\.blocks\.0\.attn\.')


def merge_before(state: State) -> State:
    return {
        re.sub(
            r'^layers\.(\d+)\.downsample', lambda m: f'layers.{int(m[1]) - 1}.downsample', key
        ): v
        for key, v in state.items()
    }


SWIN = Dialect(
    name='timm Swin',
    source='huggingface/pytorch-image-models',
    family='swin',
    recognise=recognise,
    rules=(*CORE, *MERGING, *V2),
    adapt=merge_before,
)
