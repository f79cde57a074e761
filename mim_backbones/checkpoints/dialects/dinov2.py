"""DINOv2, with or without register tokens. Source: facebookresearch/dinov2.

Patch 14, layer scale, a (1, D) mask token; the position table has a CLS row and none for
registers. Sharded training files number blocks as `blocks.CHUNK.BLOCK`, BLOCK counting through.
"""

from mim_backbones.checkpoints.choose import Model
from mim_backbones.checkpoints.dialects.base import Dialect
from mim_backbones.checkpoints.dialects.dino import as_token, options
from mim_backbones.checkpoints.dialects.vit_rules import (
    CORE,
    HEADS,
    LAYER_SCALE,
    MASK_TOKEN,
    SAME,
    Rule,
)

BLOCK = r'(norm[12]|attn\.qkv|attn\.proj|mlp\.fc[12])\.(weight|bias)'
CHUNKED: tuple[Rule, ...] = (
    (rf'blocks\.\d+\.(\d+)\.({BLOCK})', r'blocks.\1.\2'),
    (r'blocks\.\d+\.(\d+)\.ls([12])\.gamma', r'blocks.\1.gamma_\2'),
)


def recognise(model: Model) -> bool:
    scaled = model.has(r'blocks\.\d+\.(\d+\.)?ls1\.gamma')
    token = model.state.get('mask_token')
    return scaled and token is not None and token.ndim == 2


VIT = Dialect(
    name='DINOv2',
    source='facebookresearch/dinov2',
    family='vit',
    recognise=recognise,
    rules=(*CORE, *LAYER_SCALE, *CHUNKED, *MASK_TOKEN, (r'register_tokens', SAME), *HEADS),
    adapt=as_token,
    options=options,
)
