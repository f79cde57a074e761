"""What all classifiers have in common: a backbone, features of it, scores of the classes.

    image -> MixedBatch -> backbone -> feature -> scores of C classes by K classifiers -> Ranks

model.py trains the backbone; probe.py and reader.py read one that stays as it is.
"""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from mmengine.model import BaseModel
from torch import Tensor

from downstream.classification.mixing import MixedBatch
from downstream.classification.ranks import Ranks, ranks_of
from downstream.registry import MODELS


class Classifier(BaseModel):
    """See the module.

    Args:
        backbone: config of MIMViT, MIMSwin or MIMHiera.
        num_classes: C.
        frozen: the backbone is never trained and always in eval mode.
        data_preprocessor: arguments of `MixedBatch` but the number of classes.

    Attributes:
        logits: whether a softmax of its scores gives probabilities.
    """

    logits = False

    def __init__(
        self,
        backbone: dict,
        num_classes: int,
        frozen: bool,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(MixedBatch(num_classes, **(data_preprocessor or {})), init_cfg)
        self.backbone = MODELS.build(backbone)
        self.backbone.requires_grad_(not frozen)
        self.num_classes, self.frozen = num_classes, frozen

    @property
    def has_cls(self) -> bool:
        return getattr(self.backbone, 'cls_token', None) is not None

    def train(self, mode: bool = True) -> 'Classifier':
        super().train(mode)
        if self.frozen:
            self.backbone.eval()
        return self

    def forward(
        self,
        inputs: Tensor,
        label: Tensor | None = None,
        name: Sequence[str] = (),
        held: Tensor | None = None,
        target: Tensor | None = None,
        allowed: Tensor | None = None,
        mode: str = 'tensor',
    ) -> Tensor | dict[str, Tensor] | list[Ranks]:
        """What mmengine's loops call.

        mode 'tensor': inputs (B, 3, S, S) -> scores (B, K, C), of one classifier (B, C)
        mode 'loss': with target (B, C), rows of which sum to 1, label (B,) and name -> losses
        mode 'predict': with label (B,), name and held -> where each label stands among all
            classes, or among those that are `allowed` (B, C)
        """
        feature = self.extract(inputs)
        if mode == 'loss':
            return self.losses(feature, target, label, name)
        scores = self.scores(feature)
        if mode == 'tensor':
            return scores
        scores = scores.view(len(scores), -1, self.num_classes)
        return ranks_of(scores, label, name, held, self.logits, allowed)

    @abstractmethod
    def extract(self, inputs: Tensor) -> Any:
        """inputs (B, 3, S, S), normalised -> what `losses` and `scores` take."""

    @abstractmethod
    def losses(
        self, feature: Any, target: Tensor, label: Tensor, name: Sequence[str]
    ) -> dict[str, Tensor]:
        """Of a training batch."""

    @abstractmethod
    def scores(self, feature: Any) -> Tensor:
        """(B, K, C), or (B, C) of one classifier: larger is likelier."""
