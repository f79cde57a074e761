"""What every masked-image model shares: slots, the order of the forward pass, its record."""

from abc import abstractmethod
from typing import Any

import torch.nn as nn
from mmengine.model import BaseModel
from torch import Tensor

from mim_backbones.registry import MODELS as BACKBONES
from pretrain.registry import MODELS, build


class MaskedImageModel(BaseModel):
    """image -> mask -> backbone -> head -> loss.

    Args:
        backbone: config of a `mim_backbones` backbone with mask_token=True.
        target: config of what the head must predict.
        head: config of the head.
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
        self.backbone: nn.Module = BACKBONES.build(backbone)
        self.target: nn.Module = build(MODELS, target)
        self.head: nn.Module = build(MODELS, head)

    def forward(self, image: Tensor, mask: Tensor, mode: str = 'tensor') -> Any:
        """mode 'loss': dict of losses; 'predict' or 'tensor': the prediction (B, C, H, W)."""
        if mode == 'loss':
            return self.loss(image, mask)
        return self.predict(image, mask)

    @abstractmethod
    def loss(self, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """image (B, 3, H, W) normalised; mask (B, H/p, W/p) bool, True = hidden. No randomness."""

    @abstractmethod
    def predict(self, image: Tensor, mask: Tensor) -> Tensor:
        """What the head says, in the target's units."""
