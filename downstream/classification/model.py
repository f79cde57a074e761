"""A classifier: pooled features of a backbone and a linear layer, trained together.

    image -> backbone -> mean or CLS (norms: the backbone's) -> Linear -> C logits
    loss  soft cross-entropy, mixing.py

MAE: arXiv 2111.06377, appendix A.1. `custom_hooks=[dict(type='EMAHook', momentum=1e-4)]` averages
the weights, and scores the average.
"""

from collections.abc import Sequence

from timm.layers import trunc_normal_
from torch import Tensor, nn

from downstream.classification.classifier import Classifier
from downstream.classification.mixing import soft_cross_entropy
from downstream.registry import MODELS


@MODELS.register_module()
class ImageClassifier(Classifier):
    """See the module.

    Args:
        backbone: config of MIMViT, MIMSwin or MIMHiera.
        num_classes: C.
        pool: 'mean' of the patch tokens, 'cls' or 'cls_mean' (both side by side).
        head_std: of the linear layer's start, a truncated normal.
        data_preprocessor: arguments of `MixedBatch` but the number of classes.
    """

    logits = True

    def __init__(
        self,
        backbone: dict,
        num_classes: int,
        pool: str = 'mean',
        head_std: float = 2e-5,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(backbone, num_classes, False, data_preprocessor, init_cfg)
        self.pool = pool
        width = self.backbone.last_dim * (2 if pool == 'cls_mean' else 1)
        self.head = nn.Linear(width, num_classes)
        trunc_normal_(self.head.weight, std=head_std)
        nn.init.zeros_(self.head.bias)

    def extract(self, inputs: Tensor) -> Tensor:
        """inputs (B, 3, S, S), normalised -> (B, D)."""
        return self.backbone.forward_pooled(inputs, self.pool)

    def losses(
        self, feature: Tensor, target: Tensor, label: Tensor, name: Sequence[str]
    ) -> dict[str, Tensor]:
        return {'loss': soft_cross_entropy(self.scores(feature), target)}

    def scores(self, feature: Tensor) -> Tensor:
        """(B, D) -> (B, C)."""
        # Under autocast the layer chooses its type; elsewhere features may come in bf16.
        return self.head(feature.to(self.head.weight.dtype))
