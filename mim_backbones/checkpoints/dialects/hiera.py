"""Hiera: classifiers and masked pre-training, MAE-Lite's included; and timm's.

Sources: facebookresearch/hiera, wangsr126/MAE-Lite (projects/mae_lite/hiera*.py),
huggingface/pytorch-image-models. The classifier's norm sits on the pooled vector: our fc_norm.
"""

from mim_backbones.backbones.layers.pos_embed import Resize
from mim_backbones.checkpoints.choose import Model
from mim_backbones.checkpoints.dialects.base import Dialect, Ignored, Rule
from mim_backbones.checkpoints.dialects.rules import CLASSIFIER, DECODER, SAME

FUSION = r'multi_scale_fusion_heads\.\d+\.weight'
CORE: tuple[Rule, ...] = (
    (r'pos_embed', SAME),
    (r'patch_embed\.proj\.(weight|bias)', SAME),
    (r'blocks\.\d+\.(norm[12]|attn\.qkv|attn\.proj|mlp\.fc[12]|proj)\.(weight|bias)', SAME),
)


def recognise(model: Model) -> bool:
    """A stem of overlapping 7x7 patches, and blocks that widen."""
    stem = model.state.get('patch_embed.proj.weight')
    wide = stem is not None and stem.shape[-1] == 7
    return wide and model.has(r'blocks\.\d+\.proj\.weight')


def pooling(model: Model) -> dict[str, int]:
    """Pre-training fuses the maps of as many stages as it pools; classifiers pool three times."""
    fused = {key.split('.')[1] for key in model.state if key.startswith('multi_scale_fusion')}
    return {'q_pool': len(fused)} if fused else {}


OFFICIAL = Dialect(
    name='Hiera',
    source='facebookresearch/hiera',
    family='hiera',
    recognise=recognise,
    rules=(
        *CORE,
        (r'mask_token|decoder_.*', DECODER),
        (r'encoder_norm\.(weight|bias)', Ignored('norm of the fused maps (pre-training)')),
        (r'multi_scale_fusion_heads\..*', Ignored('fusion of the stages (pre-training)')),
        (r'norm\.(weight|bias)', r'fc_norm.\1'),
        (r'head\.projection\..*', CLASSIFIER),
    ),
    options=pooling,
)
TIMM = Dialect(
    name='timm Hiera',
    source='huggingface/pytorch-image-models',
    family='hiera',
    recognise=lambda model: recognise(model) and model.has(r'head\.(norm|fc)\.'),
    rules=(*CORE, (r'head\.norm\.(weight|bias)', r'fc_norm.\1'), (r'head\..*', CLASSIFIER)),
    resize=Resize(antialias=True),
)
OURS = Dialect(
    name='mimbench',
    source='this project',
    family='hiera',
    recognise=lambda model: (
        recognise(model)
        and (model.record is not None or model.has(r'fc_norm\.'))
        and not model.has(r'head\.norm\.')
    ),
    rules=(*CORE, (r'mask_token|fc_norm\.(weight|bias)', SAME), (r'head\..*', CLASSIFIER)),
)
