"""DINO and iBOT training files, a student and its averaged teacher; DINOv2, with its registers.

Sources: facebookresearch/dino, bytedance/ibot, facebookresearch/dinov2. Files of the first two with
the backbone alone look like any plain ViT. iBOT's mask token is called `masked_embed`.

DINOv2: patch 14, layer scale, a (1, D) mask token; the position table has a CLS row and none for
registers. Sharded training files number blocks as `blocks.CHUNK.BLOCK`, BLOCK counting through.
Its models with registers resize positions with antialias, the others as DINO does.
"""

from dataclasses import replace

from mim_backbones.backbones.layers.pos_embed import Resize
from mim_backbones.checkpoints.choose import Model
from mim_backbones.checkpoints.dialects.base import Dialect, Rule, State
from mim_backbones.checkpoints.dialects.rules import CORE, HEADS, LAYER_SCALE, MASK_TOKEN, SAME

BLOCK = r'(norm[12]|attn\.qkv|attn\.proj|mlp\.fc[12])\.(weight|bias)'
CHUNKED: tuple[Rule, ...] = (
    (rf'blocks\.\d+\.(\d+)\.({BLOCK})', r'blocks.\1.\2'),
    (r'blocks\.\d+\.(\d+)\.ls([12])\.gamma', r'blocks.\1.gamma_\2'),
    # Giant: a packed SwiGLU.
    (r'blocks\.(?:\d+\.)?(\d+)\.mlp\.w12\.(weight|bias)', r'blocks.\1.mlp.fc1.\2'),
    (r'blocks\.(?:\d+\.)?(\d+)\.mlp\.w3\.(weight|bias)', r'blocks.\1.mlp.fc2.\2'),
)


def from_pair(model: Model) -> bool:
    parts = set(model.prefix.split('.'))
    return bool(parts & {'teacher', 'student'}) and model.has(r'blocks\.\d+\.norm1\.')


def of_v2(model: Model) -> bool:
    scaled = model.has(r'blocks\.\d+\.(\d+\.)?ls1\.gamma')
    token = model.state.get('mask_token')
    return scaled and token is not None and token.ndim == 2


def as_token(state: State, model: Model) -> State:
    """iBOT and DINOv2 store (1, D), we (1, 1, D)."""
    if 'mask_token' in state:
        state['mask_token'] = state['mask_token'].reshape(1, 1, -1)
    return state


# The published code adds this to the new grid's sides, to keep rounding from losing a row.
SHIFTED = Resize(offset=0.1)
DINO = Dialect(
    name='DINO',
    source='facebookresearch/dino',
    family='vit',
    recognise=from_pair,
    rules=(*CORE, *HEADS),
    resize=SHIFTED,
    head_width=64,
)
IBOT = Dialect(
    name='iBOT',
    source='bytedance/ibot',
    family='vit',
    recognise=lambda model: (
        from_pair(model) and (model.has(r'masked_embed') or model.beside(r'masked_embed'))
    ),
    rules=(*CORE, (r'masked_embed', 'mask_token'), *HEADS),
    adapt=as_token,
    resize=SHIFTED,
    head_width=64,
)
DINOV2 = Dialect(
    name='DINOv2',
    source='facebookresearch/dinov2',
    family='vit',
    recognise=of_v2,
    rules=(*CORE, *LAYER_SCALE, *CHUNKED, *MASK_TOKEN, (r'register_tokens', SAME), *HEADS),
    adapt=as_token,
    resize=SHIFTED,
    head_width=64,
)
DINOV2_REGISTERS = replace(
    DINOV2,
    name='DINOv2 with registers',
    recognise=lambda model: of_v2(model) and model.has('register_tokens'),
    resize=Resize(antialias=True),
)
