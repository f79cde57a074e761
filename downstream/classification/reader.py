"""Pooled features of a frozen backbone, read once, and classifiers of them in closed form.

    training   one pass over the labelled pictures -> features -> `fit`
    test       `scores` of K classifiers; what is best on held-out training pictures counts

K: the backbone's poolings (mean of the patch tokens, and CLS where it has one) times what a
subclass varies.
"""

from abc import abstractmethod
from collections.abc import Sequence

import torch
from mmengine.dist import all_gather_object, get_world_size
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor, nn

from downstream.classification.classifier import Classifier
from downstream.registry import HOOKS
from mim_backbones.training.distributed import undistributed


class FeatureReader(Classifier):
    """See the module.

    Args:
        backbone: config of MIMViT, MIMSwin or MIMHiera; never trained, always in eval mode.
        num_classes: C.
        data_preprocessor: arguments of `MixedBatch` but the number of classes.

    Attributes:
        pools: how features are pooled.
        names: one for each of the K classifiers; a subclass sets it.
    """

    names: tuple[str, ...]

    def __init__(
        self,
        backbone: dict,
        num_classes: int,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(backbone, num_classes, True, data_preprocessor, init_cfg)
        self.pools = ('cls', 'mean') if self.has_cls else ('mean',)
        # The Runner insists on something to optimise; its gradient is always 0.
        self.nothing = nn.Parameter(torch.zeros(()))
        self.found: dict[str, tuple[Tensor, int]] = {}

    def extract(self, inputs: Tensor) -> Tensor:
        """inputs (B, 3, S, S), normalised -> (B, P, D) float32, one row for each pooling."""
        with torch.no_grad():
            pooled = self.backbone.forward_pooled(inputs, '_'.join(self.pools))
        return pooled.float().unflatten(1, (len(self.pools), -1))

    def losses(
        self, feature: Tensor, target: Tensor, label: Tensor, name: Sequence[str]
    ) -> dict[str, Tensor]:
        """Keeps the features with their labels; the loss is 0."""
        # By name: a sampler fills up the last batch with pictures that were there before.
        self.found |= zip(name, zip(feature.cpu(), label.tolist()))
        return {'loss_nothing': self.nothing * 0}

    def finish(self) -> None:
        """Fits the classifiers to what all processes have read."""
        parts = all_gather_object(self.found) if get_world_size() > 1 else [self.found]
        rows = [row for _, row in sorted({k: v for part in parts for k, v in part.items()}.items())]
        device = self.nothing.device
        features = torch.stack([feature for feature, _ in rows]).to(device)
        self.fit(features, torch.tensor([label for _, label in rows], device=device))
        self.found = {}

    @abstractmethod
    def fit(self, features: Tensor, labels: Tensor) -> None:
        """features (N, P, D) float32, labels (N,) int64."""

    @abstractmethod
    def scores(self, features: Tensor) -> Tensor:
        """features (B, P, D) -> (B, K, C), larger is likelier, in the order of `names`."""


@HOOKS.register_module()
class FitReader(Hook):
    """The one pass over the labelled pictures ends with the classifiers."""

    def after_train_epoch(self, runner: Runner) -> None:
        undistributed(runner.model).finish()
