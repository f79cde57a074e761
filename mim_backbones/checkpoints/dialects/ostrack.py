"""OSTrack's backbone, MAE-Lite's trackers included. Source: botaoye/OSTrack.

The file's dict calls the tracker `net`. Its own positions of template and search are left out; the
table of the pre-training stays in the file.
"""

from mim_backbones.checkpoints.choose import Model
from mim_backbones.checkpoints.dialects.base import Dialect, Ignored
from mim_backbones.checkpoints.dialects.rules import CORE, HEADS


def recognise(model: Model) -> bool:
    return model.has(r'pos_embed_[zx]') and model.has(r'blocks\.0\.norm1\.')


def options(model: Model) -> dict[str, int]:
    """ViT-T trackers are MAE-Lite's, with 12 heads like ViT-B."""
    return {'num_heads': 12} if model.state['patch_embed.proj.weight'].shape[0] <= 768 else {}


VIT = Dialect(
    name='OSTrack',
    source='botaoye/OSTrack',
    family='vit',
    recognise=recognise,
    rules=(
        *CORE,
        (r'pos_embed_[zx]', Ignored('positions of template and search (tracking)')),
        (r'(template|search)_segment_pos_embed', Ignored('segment positions (tracking)')),
        *HEADS,
    ),
    options=options,
)
