"""Batches as a classifier takes them: normalised, erased, mixed; labels as soft targets.

    x = (x / 255 - mean) / std, rectangles of it noise of N(0, 1)          random erasing
    x, t = lambda x + (1 - lambda) x', lambda t + (1 - lambda) t'          Mixup; or CutMix's box
    t = (1 - s) onehot + s / C                                             label smoothing

x', t': the batch in reverse. All by timm, whose code the published recipes run. It is drawn from
Python's, numpy's and torch's global generators, which the Runner seeds by step.
"""

from collections.abc import Sequence
from typing import Any

from mmengine.model import BaseDataPreprocessor
from timm.data.mixup import Mixup, mixup_target
from timm.data.random_erasing import RandomErasing
from torch import Tensor

from downstream.registry import MODELS
from mim_backbones.errors import UserError
from mim_backbones.images.normalise import IMAGENET_MEAN, IMAGENET_STD, Normalise


@MODELS.register_module()
class MixedBatch(BaseDataPreprocessor):
    """{inputs (B, 3, S, S) uint8, label (B,)} -> inputs float32, in training also target (B, C).

    Features in their place, (B, D) float32, stay as they are (fixed_views.py).

    Args:
        num_classes: C; the model says it.
        mean, std: per channel, of pictures in [0, 1].
        erase: share of training pictures with an erased rectangle.
        mixup, cutmix: their alphas, 0 for none; with both each batch tosses a coin.
        smoothing: s.
    """

    def __init__(
        self,
        num_classes: int,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        erase: float = 0.0,
        mixup: float = 0.0,
        cutmix: float = 0.0,
        smoothing: float = 0.0,
    ) -> None:
        super().__init__(non_blocking=True)
        self.normalise = Normalise(mean, std, white=255)
        self.num_classes, self.smoothing, self.erase = num_classes, smoothing, erase
        self.mix: Mixup | None = None
        if mixup or cutmix:
            self.mix = Mixup(mixup, cutmix, label_smoothing=smoothing, num_classes=num_classes)

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Raises UserError for a batch that cannot be mixed in pairs."""
        data = self.cast_data(data)
        inputs = data['inputs']
        inputs = inputs if inputs.dim() == 2 else self.normalise(inputs)
        if not training:
            return {**data, 'inputs': inputs}
        if self.erase:
            inputs = RandomErasing(self.erase, mode='pixel', device=inputs.device)(inputs)
        if self.mix is None:
            target = mixup_target(data['label'], self.num_classes, smoothing=self.smoothing)
            return {**data, 'inputs': inputs, 'target': target}
        if len(inputs) % 2:
            raise UserError(
                f'a batch of {len(inputs)} pictures cannot be mixed in pairs; take an even '
                'train_dataloader.batch_size and drop_last=True'
            )
        inputs, target = self.mix(inputs, data['label'])
        return {**data, 'inputs': inputs, 'target': target}


def soft_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """logits, target (B, C) -> mean over the batch of -sum_c t_c log softmax(logits)_c."""
    return -(target * logits.float().log_softmax(1)).sum(1).mean()
