"""A Swin's map that is decoded before its last stages, as MAE-Lite's distilled SimMIM does.

Source: wangsr126/MAE-Lite, projects/simmim (arXiv 2404.12210): the map that goes into the third
stage, merged already, and a norm of that width in place of the backbone's last.
"""

import torch.nn as nn
from torch import Tensor

from mim_backbones.backbones.swin import MIMSwin, to_map


class EarlyMap(nn.Module):
    """What goes into a stage (B, h, w, C) -> (B, C, h, w), normed.

    Args:
        swin: has output_norm='none': its own last norm would learn nothing.
        stage: 1 to the last, counts from 0.

    Attributes:
        place: of the stage's first block, see `MIMSwin.block_inputs`.
        last_dim, stride: C, and pixels per position, as a backbone names them.

    Raises:
        ValueError: another backbone, no such stage, or a norm behind the last one.
    """

    def __init__(self, swin: MIMSwin, stage: int) -> None:
        super().__init__()
        if not isinstance(swin, MIMSwin):
            raise ValueError(f'decode_from={stage} is for MIMSwin, not {type(swin).__name__}')
        if not 0 < stage < len(swin.depths):
            raise ValueError(f'decode_from={stage} of {len(swin.depths)} stages; 1 is the first')
        if swin.output_norm != 'none':
            raise ValueError(
                f'decode_from={stage} leaves the norm of the last stage without a gradient; give '
                "model.backbone.output_norm='none'"
            )
        self.place = sum(swin.depths[:stage])
        self.last_dim = swin.embed_dim * 2**stage
        self.stride = swin.patch_size * 2**stage
        self.norm = nn.LayerNorm(self.last_dim, eps=swin.blocks[0].norm1.eps)

    def forward(self, x: Tensor) -> Tensor:
        return to_map(self.norm(x))
