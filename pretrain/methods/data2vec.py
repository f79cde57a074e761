"""data2vec: say of every hidden patch what a slow copy of the model says of the whole image.

L = mean over hidden patches and channels of smooth_l1(h(norm(x_L)), y)
    + w * mean over channels of max(0, m - std over hidden patches of h(norm(x_L)))
paper: arXiv 2202.03555, section 3; 84.2 top-1 with ViT-B after 800 epochs
mask   blocks, 60 %, maskers/blockwise.py      target  blocks of the copy, targets/ema_blocks.py
head   one linear layer after the norm         recipe  configs/pretrain/data2vec_vit-b_800e.py

The second term keeps predictions apart (w = 0 in every published command).
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

from torch import Tensor, nn

from mim_backbones.backbones.base import check_option
from mim_backbones.backbones.layers.tokens import to_map
from mim_backbones.checkpoints.source import Content
from mim_backbones.images.normalise import IMAGENET_MEAN, IMAGENET_STD
from pretrain.losses import l2, smooth_l1
from pretrain.methods.base import Infer, MaskedImageModel
from pretrain.methods.beit import square_head
from pretrain.methods.start import draw_backbone, draw_linear
from pretrain.registry import MODELS
from pretrain.targets.base import Wanted

BLOCKS = {'type': 'EMABlocks'}


@MODELS.register_module()
class Data2Vec(MaskedImageModel):
    """All tokens go through the encoder, the hidden ones as a learned vector; no decoder.

    Args:
        backbone: config of a MIMViT with mask_token=True and a final norm.
        target: config of an `EMABlocks`.
        loss: 'smooth_l1' or 'l2'.
        beta: where 'smooth_l1' turns from a parabola into a line.
        spread_weight, spread_margin: w and m.
        loss_scale: factor of both terms.
        mean, std: see `Method`.

    Raises:
        ValueError: no such loss, or a target of another kind or grid than the backbone.
    """

    def __init__(
        self,
        backbone: dict[str, Any],
        target: dict[str, Any] = BLOCKS,
        loss: str = 'smooth_l1',
        beta: float = 2.0,
        spread_weight: float = 0.0,
        spread_margin: float = 0.5,
        loss_scale: float = 1.0,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        data_preprocessor: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(backbone, target, mean, std, data_preprocessor)
        check_option('Data2Vec', 'loss', loss, ('smooth_l1', 'l2'))
        if self.target.kind != 'features' or tuple(self.target.grid) != self.backbone.grid:
            raise ValueError(
                f'Data2Vec: {type(self.target).__name__} gives {self.target.kind} on a '
                f'{self.target.grid} grid; wanted are features of {self.backbone.grid} patches'
            )
        self.error = l2 if loss == 'l2' else partial(smooth_l1, beta=beta)
        self.spread_weight, self.spread_margin = spread_weight, spread_margin
        self.loss_scale = loss_scale
        self.lm_head = nn.Linear(self.backbone.embed_dim, self.target.width)
        draw_backbone(self.backbone)
        draw_linear(self.lm_head)
        self.target.start(self)

    def loss(self, image: Tensor, mask: Tensor, wanted: Wanted) -> dict[str, Tensor]:
        """No randomness but drop path and the attention's dropout."""
        pred = self.predict(image, mask)
        hidden = mask[:, None]
        loss = mean_over(self.error(pred, wanted.values), hidden).mean()
        if self.spread_weight:
            short = (self.spread_margin - spread(pred.float(), hidden)).relu()
            loss = loss + self.spread_weight * short.mean()
        return {'loss': self.loss_scale * loss}

    def predict(self, image: Tensor, mask: Tensor | None) -> Tensor:
        """What the head says (B, D, h, w), of the visible patches too."""
        vit = self.backbone
        (tokens,) = vit.block_tokens(self.normalise(image), (-1,), mask)
        return to_map(self.lm_head(vit.norm(tokens)), self.target.grid, vit.num_prefix)

    @classmethod
    def for_loading(cls, model: dict[str, Any], facts: dict[str, Any]) -> dict[str, Any]:
        return super().for_loading({'target': BLOCKS, **model}, facts)

    @classmethod
    def described(
        cls, content: Content, names: set[str], infer: Infer, options: dict[str, Any]
    ) -> dict[str, Any] | None:
        """Source of the names: facebookresearch/data2vec_vision, beit, whose head is square."""
        head = square_head(content) if 'lm_head.weight' in names else None
        if head is None:
            return None
        absent = {'type': 'AbsentTarget', 'kind': 'features', 'width': head}
        return {'type': 'Data2Vec', 'backbone': {**infer(), 'mask_token': True}, 'target': absent}

    @classmethod
    def own_names(cls, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """The released names are ours."""
        return {k: v for k, v in state.items() if k.startswith(('lm_head.', 'target.'))}


def mean_over(values: Tensor, counted: Tensor) -> Tensor:
    """values (B, C, h, w) -> (C,), the mean over the positions counted, (B, 1, h, w) bool.

    A sum over all positions, so that a compiled step does not depend on how many there are.
    """
    return (values * counted).sum((0, 2, 3)) / counted.sum()


def spread(pred: Tensor, counted: Tensor) -> Tensor:
    """Deviation (C,) of each channel over the positions counted; n - 1, 1e-6 below the root."""
    away = pred - mean_over(pred, counted)[:, None, None]
    count = counted.sum()
    variance = mean_over(away.square(), counted) * count / (count - 1)
    return (variance + 1e-6).sqrt()
