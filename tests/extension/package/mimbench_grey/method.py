"""GreyMIM: name the grey level of what is hidden.    L = mean over hidden patches of |x - y|"""

from torch import Tensor, nn

import mimbench_grey.masker
import mimbench_grey.target  # noqa: F401  both register what the recipe names
from pretrain.losses import masked_mean
from pretrain.methods.base import MaskedImageModel
from pretrain.registry import MODELS


@MODELS.register_module()
class GreyMIM(MaskedImageModel):
    def __init__(self, backbone: dict, target: dict, **options) -> None:
        super().__init__(backbone, target, **options)
        self.head = nn.Conv2d(self.backbone.last_dim, self.target.width, 1)

    def predict(self, image: Tensor, mask: Tensor | None) -> Tensor:
        return self.head(self.backbone.forward_tokens(self.normalise(image), mask))

    def loss(self, image: Tensor, mask: Tensor, wanted) -> dict[str, Tensor]:
        error = (self.predict(image, mask) - wanted.values).abs()
        return {'loss': masked_mean(error, mask[:, None])}
