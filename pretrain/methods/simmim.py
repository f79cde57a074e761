"""SimMIM: regress raw pixels where the image was hidden.

L = 1 / (3 |M|) * sum over hidden pixels p of |x_p - y_p|        M: hidden pixels
paper: arXiv 2111.09886, sections 3.1-3.4; 82.8 top-1 with Swin-B in the released recipe
mask   random 32 px squares, maskers/random_patch.py   target  the image, targets/pixels.py
head   one linear layer, heads/pixel_shuffle.py        recipe  configs/pretrain/simmim.py

What the paper compares is an entry of `model` each (sections 4.1.2-4.1.4):

    head=dict(type='MLPHead' or 'InverseSwinHead')     target=dict(type='PixelTarget', reduce=8)
    loss='l2', 'smooth_l1'                             target=dict(type='ColourBins', bins=8)
    selector='all', 'all+cls'                          target=dict(type='ColourClusters', ...)

and so is what later works predict: the features of a teacher.

    target=dict(type='FeatureTarget', norm='layer', teacher=dict(type='DINOTeacher', checkpoint=F)),
    loss='smooth_l1', beta=2.0

or histograms of gradients (MaskFeat, recipe configs/pretrain/maskfeat.py).

    target=dict(type='HOGTarget'), loss='l2'
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn as nn
from torch import Tensor

from mim_backbones.backbones.layers.tokens import to_map
from mim_backbones.backbones.vit import MIMViT
from mim_backbones.images.normalise import IMAGENET_MEAN, IMAGENET_STD
from pretrain.heads.early_map import EarlyMap
from pretrain.heads.wiring import build_head
from pretrain.losses import beside, cell_means, criterion, hidden_positions
from pretrain.methods.base import MaskedImageModel
from pretrain.methods.start import draw_backbone
from pretrain.registry import MODELS
from pretrain.targets.base import Wanted

# Released names of MAE-Lite's light decoder -> those of a SwinBlockHead.
LITE_DECODER = {
    'decoder.0.': 'head.enter.', 'decoder.1.': 'head.block.', 'decoder_pred.0.': 'head.project.',
    'encoder.norm.': 'early.norm.',  # where the backbone's dialect leaves it out
}  # fmt: skip


@MODELS.register_module()
class SimMIM(MaskedImageModel):
    """All tokens go through the encoder, the hidden ones as a learned vector; no decoder.

    The head's sizes (in_dim, stride, channels) follow from backbone and target; a recipe leaves
    them out, so that changing the one or the other is a change of one entry.

    Args:
        backbone, target, mean, std: see `Method`; the backbone has mask_token=True.
        head: config of the head.
        loss: a name of `losses.ERRORS` that fits the target's kind; default: the first.
        selector: where the loss counts: 'masked', 'all' (which needs no masker) or 'visible';
            with '+cls' behind, the CLS token's prediction of the whole image counts as one position
            more, and the head gives one feature for each token.
        decode_from: stage of a MIMSwin that the head decodes the incoming map of, 1 being the
            first; None: the last map. What lies behind it learns elsewhere (`DSimMIM`) or nothing.
        beta: where 'smooth_l1' turns from a parabola into a line, in the target's units.
        shift, scale: of 'cosine', shift - scale * cos.
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
        decode_from: int | None = None,
        beta: float = 1.0,
        shift: float = 1.0,
        scale: float = 1.0,
        cut_start: bool = False,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        data_preprocessor: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(backbone, target, mean, std, data_preprocessor)
        self.early = None if decode_from is None else EarlyMap(self.backbone, decode_from)
        self.head: nn.Module = build_head(head, self.backbone, self.target, self.early)
        who = f'SimMIM on {type(self.target).__name__}'
        self.criterion = criterion(who, self.target.kind, loss, selector, beta, shift, scale)
        self.needs_mask = self.criterion.selector != 'all'
        self.coarser = max(1, self.target.stride // (self.early or self.backbone).stride)
        if self.criterion.with_cls and not (
            self.target.whole
            and getattr(self.backbone, 'num_cls', 0)
            and self.target.stride == self.backbone.stride
        ):
            raise ValueError(
                f'{who}: selector={selector!r} needs a CLS token in the backbone '
                f'({backbone["type"]}), values of the whole image from the target, and one '
                'position of the target for each token'
            )
        if cut_start:
            if not isinstance(self.backbone, MIMViT):
                raise ValueError(f'SimMIM: cut_start is for MIMViT, not {backbone["type"]}')
            draw_backbone(self.backbone)

    def loss(self, image: Tensor, mask: Tensor | None, wanted: Wanted) -> dict[str, Tensor]:
        if not self.criterion.with_cls:
            return {'loss': self.reconstruction(self.predict(image, mask), mask, wanted)}
        pred, values = self.predict_with_cls(image, mask), beside(wanted.values, wanted.whole)
        return {'loss': self.criterion(pred, values, self.hidden(mask, pred))}

    def reconstruction(self, pred: Tensor, mask: Tensor | None, wanted: Wanted) -> Tensor:
        """Scalar loss of what the head says (B, C, h, w)."""
        return self.criterion(pred, wanted.values, self.hidden(mask, pred))

    def hidden(self, mask: Tensor | None, pred: Tensor) -> Tensor:
        """(B, 1, h, w), what is hidden on the target's grid: without a mask, nothing."""
        if mask is None:
            return torch.zeros(
                len(pred), 1, *self.target.grid, dtype=torch.bool, device=pred.device
            )
        return hidden_positions(mask, self.backbone.mask_size, self.target.stride)

    def predict(self, image: Tensor, mask: Tensor | None) -> Tensor:
        """What the head says (B, C, h, w), of the visible part too."""
        image = self.normalise(image)
        if self.early is None:
            return self.decoded_map(self.backbone.forward_tokens(image, mask))
        (x,) = self.backbone.block_inputs(image, (self.early.place,), mask)
        return self.decoded_map(self.early(x))

    def decoded_map(self, feature: Tensor) -> Tensor:
        """A map (B, in_dim, ...) through the head, on the target's grid."""
        return cell_means(self.head(feature), self.coarser)

    def predict_with_cls(self, image: Tensor, mask: Tensor | None) -> Tensor:
        """The same and, before it, what the head says of the CLS token: (B, C, 1 + h * w)."""
        vit, image = self.backbone, self.normalise(image)
        tokens = vit.norm(vit.block_tokens(image, (-1,), mask)[0])
        maps = to_map(tokens, self.target.grid, vit.num_prefix)
        return beside(self.head(maps), self.head(tokens[:, 0, :, None, None]).flatten(1))

    @classmethod
    def own_names(cls, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Source: microsoft/SimMIM, models/simmim.py: a decoder of one layer.

        And wangsr126/MAE-Lite, projects/simmim/simmim.py: one of a Swin block.
        """
        lite = 'decoder_pred.0.weight' in state
        released = LITE_DECODER if lite else {'decoder.0.': 'head.project.'}
        kept = ('head.', 'early.', 'target.')
        own = {name: value for name, value in state.items() if name.startswith(kept)}
        for theirs, ours in released.items():
            for name, value in state.items():
                # The index of a window's offsets is made anew.
                if name.startswith(theirs) and not name.endswith('relative_position_index'):
                    own[ours + name.removeprefix(theirs)] = value
        return own
