"""SimMIM: regress raw pixels where the image was hidden.

L = 1 / (3 |M|) * sum over hidden pixels p of |x_p - y_p|        M: hidden pixels
paper: arXiv 2111.09886, sections 3.1-3.4; 82.8 top-1 with Swin-B in the released recipe
mask   random 32 px squares, maskers/random_patch.py   target  the image, targets/pixel.py
head   one linear layer, heads/pixel_shuffle.py        recipe  configs/pretrain/simmim.py
"""

from torch import Tensor

from pretrain.losses import masked_l1
from pretrain.methods.base import MaskedImageModel
from pretrain.registry import MODELS


@MODELS.register_module()
class SimMIM(MaskedImageModel):
    """All tokens go through the encoder, the hidden ones as a learned vector; no decoder."""

    def loss(self, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """image (B, 3, H, W) normalised; mask (B, H/p, W/p) bool, True = hidden."""
        hidden = pixels_of(mask, image.shape[-1] // mask.shape[-1])
        return {'loss': masked_l1(self.predict(image, mask), self.target(image), hidden)}

    def predict(self, image: Tensor, mask: Tensor) -> Tensor:
        """Normalised pixels (B, 3, H, W), visible ones too."""
        return self.head(self.backbone.forward_tokens(image, mask))


def pixels_of(mask: Tensor, patch_size: int) -> Tensor:
    """Patch mask (B, h, w) -> pixel mask (B, 1, h*p, w*p)."""
    mask = mask.repeat_interleave(patch_size, 1).repeat_interleave(patch_size, 2)
    return mask[:, None]
