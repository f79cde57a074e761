"""SimMIM: regress raw pixels where the image was hidden.

L = 1 / (3 |M|) * sum over hidden pixels p of |x_p - y_p|        M: hidden pixels
paper: arXiv 2111.09886, sections 3.1-3.4; 82.8 top-1 with Swin-B in the released recipe
mask   random 32 px squares, maskers/random_patch.py   target  the image, targets/pixel.py
head   one linear layer, heads/pixel_shuffle.py        recipe  configs/pretrain/simmim.py

What the paper compares is an entry of `model` each (sections 4.1.2-4.1.4):

    head=dict(type='MLPHead' or 'InverseSwinHead')     target=dict(type='PixelTarget', reduce=8)
    loss='l2', 'smooth_l1'                             target=dict(type='ColourBins', bins=8)
    area='all'                                         target=dict(type='ColourClusters', ...)
"""

from functools import partial
from typing import Any

import torch
from torch import Tensor

from mim_backbones.backbones.base import check_option
from mim_backbones.backbones.vit import MIMViT
from pretrain.losses import LOSSES, hidden_positions
from pretrain.methods.base import MaskedImageModel
from pretrain.methods.start import draw_backbone
from pretrain.registry import MODELS


@MODELS.register_module()
class SimMIM(MaskedImageModel):
    """All tokens go through the encoder, the hidden ones as a learned vector; no decoder.

    Args:
        backbone, target, head, data_preprocessor: see `MaskedImageModel`.
        loss: 'l1', 'l2' or 'smooth_l1' for targets that are pixels, 'cross_entropy' for ids;
            default: the first that fits.
        area: 'masked' counts what is hidden, 'all' the whole image.
        beta: where 'smooth_l1' turns from a parabola into a line, in the target's units.
        cut_start: draw a MIMViT as the released pre-training does, no weight above one deviation.
            A Swin's own start is the released one.

    Raises:
        ValueError: no such option, a loss that does not fit the target, or cut_start with another
            backbone than a MIMViT.
    """

    def __init__(
        self,
        backbone: dict[str, Any],
        target: dict[str, Any] = {'type': 'PixelTarget'},  # noqa: B006  only read
        head: dict[str, Any] = {'type': 'PixelShuffleHead'},  # noqa: B006
        loss: str | None = None,
        area: str = 'masked',
        beta: float = 1.0,
        cut_start: bool = False,
        data_preprocessor: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(backbone, target, head, data_preprocessor)
        fitting = LOSSES[self.target.kind]
        loss = loss or next(iter(fitting))
        check_option(f'SimMIM on {type(self.target).__name__}', 'loss', loss, tuple(fitting))
        check_option('SimMIM', 'area', area, ('masked', 'all'))
        self.criterion = partial(fitting[loss], beta=beta) if loss == 'smooth_l1' else fitting[loss]
        self.area = area
        if cut_start:
            if not isinstance(self.backbone, MIMViT):
                raise ValueError(f'SimMIM: cut_start is for MIMViT, not {backbone["type"]}')
            draw_backbone(self.backbone)

    def loss(self, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """image (B, 3, H, W) normalised; mask (B, H/m, W/m) bool, True = hidden."""
        counted = hidden_positions(mask, self.backbone.mask_size, self.target.stride)
        if self.area == 'all':
            counted = torch.ones_like(counted)
        pred = self.predict(image, mask)
        return {'loss': self.criterion(pred, self.target_of(image), counted)}

    def predict(self, image: Tensor, mask: Tensor | None) -> Tensor:
        """What the head says (B, C, h, w), of the visible part too."""
        return self.head(self.backbone.forward_tokens(image, mask))
