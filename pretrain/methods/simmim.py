"""SimMIM: regress raw pixels where the image was hidden.

L = 1 / (3 |M|) * sum over hidden pixels p of |x_p - y_p|        M: hidden pixels
paper: arXiv 2111.09886, sections 3.1-3.4; 82.8 top-1 with Swin-B in the released recipe
mask   random 32 px squares, maskers/random_patch.py   target  the image, targets/pixels.py
head   one linear layer, heads/pixel_shuffle.py        recipe  configs/pretrain/simmim.py

What the paper compares is an entry of `model` each (sections 4.1.2-4.1.4):

    head=dict(type='MLPHead' or 'InverseSwinHead')     target=dict(type='PixelTarget', reduce=8)
    loss='l2', 'smooth_l1'                             target=dict(type='ColourBins', bins=8)
    selector='all'                                     target=dict(type='ColourClusters', ...)

and so is what later works predict: the features of a teacher.

    target=dict(type='FeatureTarget', norm='layer', teacher=dict(type='DINOTeacher', checkpoint=F)),
    loss='smooth_l1', beta=2.0
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch.nn as nn
from torch import Tensor

from mim_backbones.backbones.base import check_option
from mim_backbones.backbones.layers.tokens import to_map
from mim_backbones.backbones.vit import MIMViT
from pretrain.heads.wiring import build_head
from pretrain.images.preprocessor import IMAGENET_MEAN, IMAGENET_STD
from pretrain.losses import ERRORS, SELECTORS, beside, hidden_positions, masked_mean
from pretrain.methods.base import MaskedImageModel
from pretrain.methods.start import draw_backbone
from pretrain.registry import MODELS
from pretrain.targets.base import Wanted


@MODELS.register_module()
class SimMIM(MaskedImageModel):
    """All tokens go through the encoder, the hidden ones as a learned vector; no decoder.

    The head's sizes (in_dim, stride, channels) follow from backbone and target; a recipe leaves
    them out, so that changing the one or the other is a change of one entry.

    Args:
        backbone, target, mean, std: see `Method`; the backbone has mask_token=True.
        head: config of the head.
        loss: a name of `losses.ERRORS` that fits the target's kind; default: the first.
        selector: where the loss counts: 'masked', 'all' or 'visible'.
        with_cls: whether the CLS token's prediction of the whole image counts as one position more;
            the head then gives one feature for each token.
        beta: where 'smooth_l1' turns from a parabola into a line, in the target's units.
        cut_start: draw a MIMViT as the released pre-training does, no weight above one deviation.
            A Swin's own start is the released one.

    Raises:
        ValueError: no such option, a loss that does not fit the target, parts that do not fit each
            other, or cut_start with another backbone than a MIMViT.
    """

    def __init__(
        self,
        backbone: dict[str, Any],
        target: dict[str, Any] = {'type': 'PixelTarget'},  # noqa: B006  only read
        head: dict[str, Any] = {'type': 'PixelShuffleHead'},  # noqa: B006
        loss: str | None = None,
        selector: str = 'masked',
        with_cls: bool = False,
        beta: float = 1.0,
        cut_start: bool = False,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        data_preprocessor: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(backbone, target, mean, std, data_preprocessor)
        self.head: nn.Module = build_head(head, self.backbone, self.target)
        fitting = ERRORS.get(self.target.kind, {})
        loss = loss or next(iter(fitting), 'none')
        check_option(f'SimMIM on {type(self.target).__name__}', 'loss', loss, tuple(fitting))
        check_option('SimMIM', 'selector', selector, tuple(SELECTORS))
        self.error = partial(fitting[loss], beta=beta) if loss == 'smooth_l1' else fitting[loss]
        self.selector = SELECTORS[selector]
        self.with_cls = with_cls
        if with_cls and not (
            self.target.whole
            and getattr(self.backbone, 'num_cls', 0)
            and self.target.stride == self.backbone.stride
        ):
            raise ValueError(
                f'SimMIM: with_cls needs a CLS token in the backbone ({backbone["type"]}), values '
                f'of the whole image from the target ({type(self.target).__name__}), and one '
                'position of the target for each token'
            )
        if cut_start:
            if not isinstance(self.backbone, MIMViT):
                raise ValueError(f'SimMIM: cut_start is for MIMViT, not {backbone["type"]}')
            draw_backbone(self.backbone)

    def loss(self, image: Tensor, mask: Tensor, wanted: Wanted) -> dict[str, Tensor]:
        hidden = hidden_positions(mask, self.backbone.mask_size, self.target.stride)
        counted = self.selector(hidden)
        if not self.with_cls:
            error = self.error(self.predict(image, mask), wanted.values)
            return {'loss': masked_mean(error, counted)}
        pred, values = self.predict_with_cls(image, mask), beside(wanted.values, wanted.whole)
        always = counted.new_ones(len(counted), 1)
        return {'loss': masked_mean(self.error(pred, values), beside(counted, always))}

    def predict(self, image: Tensor, mask: Tensor | None) -> Tensor:
        """What the head says (B, C, h, w), of the visible part too."""
        return self.head(self.backbone.forward_tokens(self.normalise(image), mask))

    def predict_with_cls(self, image: Tensor, mask: Tensor | None) -> Tensor:
        """The same and, before it, what the head says of the CLS token: (B, C, 1 + h * w)."""
        vit, image = self.backbone, self.normalise(image)
        tokens = vit.norm(vit.block_tokens(image, (-1,), mask)[0])
        maps = to_map(tokens, self.target.grid, vit.num_prefix)
        return beside(self.head(maps), self.head(tokens[:, 0, :, None, None]).flatten(1))

    @classmethod
    def own_names(cls, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Source: microsoft/SimMIM, models/simmim.py: a decoder of one layer."""
        names = {name: name.replace('decoder.0.', 'head.project.') for name in state}
        own = ('head.', 'target.')
        return {new: state[old] for old, new in names.items() if new.startswith(own)}
