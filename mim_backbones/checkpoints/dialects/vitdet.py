"""ViTDet's backbone: windows, decomposed relative positions. Source: facebookresearch/detectron2.

The position table keeps the pre-training grid and the row of a CLS token that is gone.
"""

from mim_backbones.checkpoints.choose import Model
from mim_backbones.checkpoints.dialects.base import Dialect, Ignored
from mim_backbones.checkpoints.dialects.rules import CORE, HEADS, SAME


def recognise(model: Model) -> bool:
    net = model.prefix.endswith('backbone.net.') and model.has(r'blocks\.0\.norm1\.')
    return net or model.has(r'blocks\.\d+\.attn\.rel_pos_h')


VIT = Dialect(
    name='detectron2 ViTDet',
    source='facebookresearch/detectron2',
    family='vit',
    recognise=recognise,
    rules=(
        *CORE,
        (r'blocks\.\d+\.attn\.rel_pos_[hw]', SAME),
        (r'simfp_\d\..*', Ignored('neck')),
        *HEADS,
    ),
)
