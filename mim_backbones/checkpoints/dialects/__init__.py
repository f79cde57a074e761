"""Key names of every source a backbone may come from: one file a source, tried in this order."""

from mim_backbones.checkpoints.choose import Model
from mim_backbones.checkpoints.dialects import (
    beit,
    clip,
    dino,
    dinov3,
    eva,
    hiera,
    mae,
    mae_lite,
    mimbench,
    moco_v3,
    openmmlab,
    ostrack,
    simmim,
    swin,
    timm,
    vitdet,
)
from mim_backbones.checkpoints.dialects.base import Dialect
from mim_backbones.checkpoints.safe.weights_file import CheckpointError

# From the most particular names to the plainest.
DIALECTS: tuple[Dialect, ...] = (
    hiera.OURS,
    hiera.TIMM,
    hiera.OFFICIAL,
    mimbench.VIT,
    mimbench.SWIN,
    mae_lite.SWIN,
    simmim.SWIN,
    openmmlab.MMSEG_SWIN,
    openmmlab.MMDET_SWIN,
    openmmlab.SWIN,
    timm.SWIN,
    swin.V2,
    swin.V1,
    clip.OPENAI,
    clip.HUGGING_FACE,
    clip.SIGLIP,
    dinov3.VIT,
    eva.EVA02,
    ostrack.VIT,
    vitdet.VIT,
    mae_lite.VIT,
    mae.VIT,
    moco_v3.VIT,
    simmim.VIT,
    beit.TOKENIZER,
    beit.V2,
    beit.V1,
    dino.DINOV2_REGISTERS,
    dino.DINOV2,
    dino.IBOT,
    dino.DINO,
    openmmlab.MMSEG_VIT,
    openmmlab.MMPRETRAIN_VIT,
    timm.EVA,
    timm.BEIT_VIT,
    timm.OWN,
    timm.FINE_TUNED,
    timm.VIT,
    mae.ENCODER,
)


def recognise(model: Model) -> Dialect:
    """The dialect of a model's keys.

    Raises:
        CheckpointError: none knows them.
    """
    for dialect in DIALECTS:
        if dialect.recognise(model):
            return dialect
    shown = ', '.join(list(model.state)[:4])
    raise CheckpointError(
        f'checkpoint {model.name}: no known dialect has such keys: {shown}, ...; known: '
        f'{", ".join(dialect.name for dialect in DIALECTS)}'
    )
