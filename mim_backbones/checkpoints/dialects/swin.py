"""Swin V1 and V2: classifiers and the dense-prediction code. Our names are the same.

Source: microsoft/Swin-Transformer; SwinTransformer/Swin-Transformer-Semantic-Segmentation.
"""

from math import isqrt
from typing import Any

from mim_backbones.checkpoints.choose import Model
from mim_backbones.checkpoints.dialects.base import Dialect
from mim_backbones.checkpoints.dialects.rules import SWIN, SWIN_V2

STAGES = 4


def recognise(model: Model) -> bool:
    return model.has(r'layers\.0\.blocks\.0\.attn\.') and model.has(r'layers\.0\.downsample\.')


def has_output_norms(model: Model) -> bool:
    """The dense-prediction code, which pads small maps, has a norm for each of its outputs."""
    return model.has(r'norm\d\.weight')


def windows_of_buffers(model: Model) -> dict[str, Any]:
    """V2's weights do not show their windows; the buffers beside them do.

    The table of offsets is scaled by the window of the pre-training: its largest entry is
    log2(8 (w - 1) / (pretrained - 1) + 1) / 3.
    """
    windows: list[int] = []
    pretrained: list[int] = []
    for stage in range(STAGES):
        attention = f'layers.{stage}.blocks.0.attn.'
        index = model.state.get(f'{attention}relative_position_index')
        if index is None:
            return {}
        windows.append(isqrt(len(index)))
        offsets = model.state.get(f'{attention}relative_coords_table')
        reach = 0.0 if offsets is None else 2 ** (3 * float(offsets.max())) - 1
        pretrained.append(1 + round(8 * (windows[-1] - 1) / reach) if reach > 0 else windows[-1])
    return {'stage_windows': tuple(windows), 'pretrained_window_sizes': tuple(pretrained)}


V1 = Dialect(
    name='Swin',
    source='microsoft/Swin-Transformer',
    family='swin',
    recognise=recognise,
    rules=SWIN,
    options=lambda model: {'small_maps': 'pad'} if has_output_norms(model) else {},
)
V2 = Dialect(
    name='Swin V2',
    source='microsoft/Swin-Transformer',
    family='swin',
    recognise=lambda model: recognise(model) and model.has(r'layers\.0\.blocks\.0\.attn\.logit'),
    rules=SWIN_V2,
    options=lambda model: {**V1.options(model), **windows_of_buffers(model)},
)
