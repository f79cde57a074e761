"""What every masked-image model shares: slots, the order of the forward pass, its record."""

from abc import abstractmethod
from typing import Any

import torch
import torch.nn as nn
from mmengine.model import BaseModel
from torch import Tensor

from mim_backbones.backbones.base import MIMBackbone
from mim_backbones.errors import UserError
from mim_backbones.registry import MODELS as BACKBONES
from pretrain.heads.wiring import build_head
from pretrain.registry import MODELS, build
from pretrain.targets.base import Target


class MaskedImageModel(BaseModel):
    """image -> mask -> backbone -> head -> loss.

    The head's sizes (in_dim, stride, channels) follow from the backbone and the target; a recipe
    leaves them out, so that changing the target or the backbone is a change of one entry.

    Args:
        backbone: config of a `mim_backbones` backbone with mask_token=True.
        target: config of what the head must predict, a `pretrain.targets.base.Target`.
        head: config of the head.

    Raises:
        ValueError: the parts do not fit each other; the message names both numbers.
    """

    def __init__(
        self,
        backbone: dict[str, Any],
        target: dict[str, Any],
        head: dict[str, Any],
        data_preprocessor: dict[str, Any] | None = None,
    ) -> None:
        preprocessor = data_preprocessor or {'type': 'pretrain.ImagePreprocessor'}
        super().__init__(build(MODELS, preprocessor))
        self.backbone: MIMBackbone = BACKBONES.build(backbone)
        self.target: Target = build(MODELS, target)
        self.head: nn.Module = build_head(head, self.backbone, self.target)

    def forward(self, image: Tensor, mask: Tensor | None = None, mode: str = 'tensor') -> Any:
        """mode 'loss': dict of losses; 'predict' or 'tensor': the prediction (B, C, h, w).

        Raises:
            UserError: a loss without a mask, or one of another grid than the image's.
        """
        if mask is None and mode == 'loss':
            raise UserError(f'{type(self).__name__}: the data set of the recipe has no masker')
        if mode == 'loss':
            return self.loss(image, mask)
        return self.predict(image, mask)

    @abstractmethod
    def loss(self, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """image (B, 3, H, W) normalised; mask (B, H/m, W/m) bool, True = hidden. No randomness."""

    @abstractmethod
    def predict(self, image: Tensor, mask: Tensor | None) -> Tensor:
        """What the head says, in the target's units."""

    @torch.no_grad()
    def target_of(self, image: Tensor) -> Tensor:
        """image (B, 3, H, W) normalised -> what the head must predict."""
        return self.target(self.target_view(image))

    def target_view(self, image: Tensor) -> Tensor:
        """The image scaled as the target takes it: normalised, or in [0, 1] where ids come out."""
        return image if self.target.kind == 'pixels' else self.data_preprocessor.unit(image)
