"""DINO and iBOT training files: a student and its averaged teacher.

Sources: facebookresearch/dino, bytedance/ibot. iBOT's mask token is called `masked_embed`. Both
have 6 heads in ViT-S. Files with the backbone alone look like any plain ViT.
"""

from mim_backbones.checkpoints.choose import Model
from mim_backbones.checkpoints.dialects.base import Dialect, State
from mim_backbones.checkpoints.dialects.vit_rules import CORE, HEADS

HEADS_BY_WIDTH = {192: 3, 384: 6}


def from_pair(model: Model) -> bool:
    parts = set(model.prefix.split('.'))
    return bool(parts & {'teacher', 'student'}) and model.has(r'blocks\.\d+\.norm1\.')


def options(model: Model) -> dict[str, int]:
    width = model.state['patch_embed.proj.weight'].shape[0]
    return {'num_heads': HEADS_BY_WIDTH[width]} if width in HEADS_BY_WIDTH else {}


def as_token(state: State) -> State:
    """iBOT stores (1, D), we (1, 1, D)."""
    if 'mask_token' in state:
        state['mask_token'] = state['mask_token'].reshape(1, 1, -1)
    return state


DINO = Dialect(
    name='DINO',
    source='facebookresearch/dino',
    family='vit',
    recognise=from_pair,
    rules=(*CORE, *HEADS),
    options=options,
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
    options=options,
)
