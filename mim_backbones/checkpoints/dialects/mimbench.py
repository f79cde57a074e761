"""This project's own names: MIMViT and MIMSwin.

Sources: mim_backbones/vit.py, swin.py. Files of the Runner keep the backbone under `backbone.` and
its constructor arguments under `meta.mimbench`; a bare state dict shows itself by its table names.
"""

from mim_backbones.checkpoints.choose import Model
from mim_backbones.checkpoints.dialects.base import Dialect
from mim_backbones.checkpoints.dialects.rules import (
    BEIT,
    CORE,
    HEADS,
    MASK_TOKEN,
    SAME,
    SWIN_V2,
)


def recorded(model: Model, kind: str) -> bool:
    """Whether the file says that its backbone is a `kind`."""
    backbone = (model.record or {}).get('backbone') or {}
    return str(backbone.get('type', '')).endswith(kind)


def recognise(model: Model) -> bool:
    """A record of ours, or relative tables beside (not inside) the attention."""
    if not model.has(r'blocks\.0\.norm1\.') or model.has(r'layers\.|stages\.'):
        return False
    own_names = model.has(r'blocks\.\d+\.rel_pos_bias\.') or (
        model.has(r'register_tokens') and not model.has(r'blocks\.(\d+\.)+ls1\.')
    )
    # `mimbench convert` leaves its record in files with other names too.
    foreign = model.has(r'blocks\.\d+\.(ls1|attn\.relative_position_bias_table)|reg_token')
    return own_names or (recorded(model, 'MIMViT') and not foreign)


VIT = Dialect(
    name='mimbench',
    source='this project',
    family='vit',
    recognise=recognise,
    rules=(
        *CORE,
        *MASK_TOKEN,
        (r'register_tokens', SAME),
        (r'blocks\.\d+\.rel_pos_bias\.relative_position_bias_table', SAME),
        (r'blocks\.\d+\.attn\.rel_pos_[hw]', SAME),
        *BEIT,
        *HEADS,
    ),
)
SWIN = Dialect(
    name='mimbench',
    source='this project',
    family='swin',
    recognise=lambda model: (
        recorded(model, 'MIMSwin')
        and model.has(r'layers\.0\.blocks\.')
        and (model.has(r'layers\.0\.downsample\.') or not model.has(r'layers\.\d\.downsample\.'))
    ),
    rules=SWIN_V2,
)
