"""D-SimMIM: SimMIM of a Swin whose last block must relate its windows as a teacher's does.

L = L_SimMIM + the errors of distilled.py, of the masked image: each encoder sees what is hidden as
    its own mask token
paper: arXiv 2404.12210 (released as wangsr126/MAE-Lite, projects/simmim): 77.8 with a Swin of 48
       channels, decoded before its third stage
mask, target, head  as SimMIM               recipe  configs/pretrain/d-simmim-lite_swin-ti_400e.py
"""

from typing import Any

from torch import Tensor

from mim_backbones.backbones.swin import MIMSwin
from pretrain.methods.distilled import Distilled
from pretrain.methods.simmim import SimMIM
from pretrain.registry import MODELS
from pretrain.targets.base import Wanted


@MODELS.register_module()
class DSimMIM(Distilled, SimMIM):
    """SimMIM and what its blocks learn from those of a teacher that sees the same masked image.

    Args: see `Distilled` and `SimMIM`; both backbones are MIMSwins with mask_token=True.

    Raises:
        ValueError: another backbone, or what those refuse.
    """

    def __init__(self, backbone: dict[str, Any], **others: Any) -> None:
        super().__init__(backbone, **others)
        if not isinstance(self.backbone, MIMSwin):
            raise ValueError(f'DSimMIM is for MIMSwin, not {backbone["type"]}')

    @property
    def decoded(self) -> list[int]:
        return [self.backbone.depth if self.early is None else self.early.place]

    def shown(self, mask: Tensor) -> dict[str, Tensor]:
        return {'mask': mask}

    def loss(self, image: Tensor, mask: Tensor, wanted: Wanted) -> dict[str, Tensor]:
        (x,), errors = self.distilled(image, mask=mask)
        feature = self.backbone.normed_map(x) if self.early is None else self.early(x)
        return {'loss_rec': self.reconstruction(self.decoded_map(feature), mask, wanted), **errors}
