"""Key names of every source a backbone may come from: one file a source, tried in this order."""

from mim_backbones.checkpoints.choose import Model
from mim_backbones.checkpoints.dialects import (
    beit,
    dino,
    dinov2,
    hiera,
    mae,
    mae_lite,
    mimbench,
    moco_v3,
    openmmlab_swin,
    openmmlab_vit,
    ostrack,
    plain_vit,
    simmim,
    swin,
    timm_swin,
    timm_vit,
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
    openmmlab_swin.MMDET,
    openmmlab_swin.MMSEG,
    openmmlab_swin.MMPRETRAIN,
    timm_swin.SWIN,
    swin.SWIN_V2,
    swin.V1,
    ostrack.VIT,
    vitdet.VIT,
    mae_lite.VIT,
    mae.VIT,
    moco_v3.VIT,
    simmim.VIT,
    beit.TOKENIZER,
    beit.V2,
    beit.V1,
    dinov2.VIT,
    dino.IBOT,
    dino.DINO,
    openmmlab_vit.MMSEG,
    openmmlab_vit.MMPRETRAIN,
    timm_vit.BEIT_VIT,
    timm_vit.VIT,
    plain_vit.VIT,
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
