"""BEiT, BEiT v2 and its tokenizer's encoder. Source: microsoft/unilm, beit/ and beit2/.

Pre-training shares one relative table between the blocks; fine-tuning and segmentation have one in
each. Fine-tuned files of both versions have the same names. Query and value have a bias, the key
has none.
"""

from typing import Any

from mim_backbones.checkpoints.choose import Model
from mim_backbones.checkpoints.dialects.base import Dialect, Ignored
from mim_backbones.checkpoints.dialects.rules import BEIT, CLASSIFIER, CORE, HEADS, MASK_TOKEN

RULES = (
    *CORE,
    *MASK_TOKEN,
    *BEIT,
    (r'cls_pt_.*', Ignored('CLS patch aggregation (pre-training)')),
    (r'(lm_head)\..*', CLASSIFIER),
    (r'fpn\d\..*', Ignored('neck')),
    *HEADS,
)


def options(model: Model) -> dict[str, Any]:
    """Names of its heads tell it from later ViTs with as many weights, whose positions rotate."""
    return {'rope': None}


def has_blocks(model: Model) -> bool:
    own = model.has(r'blocks\.0\.attn\.(q_bias|relative_position)|rel_pos_bias\.')
    return own and model.has(r'blocks\.0\.norm1\.')


V2 = Dialect(
    name='BEiT v2',
    source='microsoft/unilm, beit2',
    family='vit',
    recognise=lambda model: has_blocks(model) and model.has(r'cls_pt_layers\.'),
    rules=RULES,
    options=options,
)
TOKENIZER = Dialect(
    name='BEiT v2 tokenizer (encoder)',
    source='microsoft/unilm, beit2',
    family='vit',
    recognise=lambda model: model.prefix.endswith('encoder.') and model.beside(r'(^|\.)quantize\.'),
    rules=RULES,
    options=options,
)
V1 = Dialect(
    name='BEiT',
    source='microsoft/unilm, beit',
    family='vit',
    recognise=lambda model: (
        has_blocks(model) and model.has(r'(.*\.)?relative_position_index|lm_head|fpn1')
    ),
    rules=RULES,
    options=options,
)
