"""A classifier that also learns its teacher's class: DeiT's hard distillation.

    x -> mean of the patch tokens -> head                       CE with the labels (soft, mixing.py)
      -> CLS, its own norm        -> head of the teacher's      CE with argmax of teacher(x)
    L = (1 - alpha) CE + alpha CE of the teacher's class        test: mean of both heads' logits

The teacher sees the same mixed pictures. DeiT (arXiv 2012.12877, section 4) adds a token; here, as
in MAE-Lite's projects/eval_tools/finetuning_distill_exp.py, the CLS token, which a mean leaves
unread, is that token. A recipe asks for it by

    model.type=downstream.DistilledClassifier model.teacher=timm:regnety_160.deit_in1k
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from timm.layers import trunc_normal_
from torch import Tensor, nn

from downstream.classification.mixing import soft_cross_entropy
from downstream.classification.model import ImageClassifier
from downstream.registry import MODELS
from mim_backbones.backbones.layers.tokens import pool_tokens
from mim_backbones.backbones.vit import MIMViT
from mim_backbones.checkpoints.source import TIMM, open_source
from mim_backbones.errors import UserError
from mim_backbones.images.normalise import Normalise


@MODELS.register_module()
class DistilledClassifier(ImageClassifier):
    """See the module.

    Args:
        teacher: 'timm:NAME' or 'timm:NAME@FILE', a classifier of the same classes, as ordered.
        alpha: weight of the teacher's class.
        head_std: of both linear layers' start, a truncated normal.
        options: of `ImageClassifier`; its pooling is the mean.

    Raises:
        UserError: the backbone has no CLS token, or the teacher other classes.
    """

    def __init__(
        self, teacher: str, alpha: float = 0.5, head_std: float = 2e-5, **options: Any
    ) -> None:
        super().__init__(head_std=head_std, **options)
        if not (isinstance(self.backbone, MIMViT) and self.has_cls) or self.pool != 'mean':
            raise UserError(
                'DistilledClassifier: needs a ViT with a CLS token and pool=mean; the teacher is '
                'learnt by the token that the mean leaves unread'
            )
        self.alpha = alpha
        width = self.backbone.last_dim
        self.teacher_norm = nn.LayerNorm(width, eps=1e-6)
        self.teacher_head = nn.Linear(width, self.num_classes)
        trunc_normal_(self.teacher_head.weight, std=head_std)
        nn.init.zeros_(self.teacher_head.bias)
        net, normalise = open_teacher(teacher, self.num_classes)
        # In a list: frozen, of no state dict and no optimizer.
        self._teacher = [net, normalise]

    def extract(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """inputs (B, 3, S, S), normalised -> mean, CLS; in training the teacher's logits."""
        (tokens,) = self.backbone.block_tokens(inputs, (-1,))
        prefix = self.backbone.num_prefix
        mean = self.backbone.fc_norm(pool_tokens(self.backbone.norm(tokens), prefix, 'mean'))
        feature = (mean, self.teacher_norm(tokens[:, 0]))
        return (*feature, self.teach(inputs)) if self.training else feature

    @torch.no_grad()
    def teach(self, inputs: Tensor) -> Tensor:
        """inputs (B, 3, S, S), normalised as ours -> logits (B, C)."""
        net, normalise = (module.to(inputs.device) for module in self._teacher)
        return net(normalise(self.data_preprocessor.normalise.undo(inputs)))

    def losses(
        self, feature: tuple[Tensor, ...], target: Tensor, label: Tensor, name: Sequence[str]
    ) -> dict[str, Tensor]:
        mean, cls, taught = feature
        own, learnt = self.head(mean), self.teacher_head(cls)
        return {
            'loss': (1 - self.alpha) * soft_cross_entropy(own, target),
            'loss_teacher': self.alpha * F.cross_entropy(learnt.float(), taught.argmax(1)),
        }

    def scores(self, feature: tuple[Tensor, ...]) -> Tensor:
        """(B, C), mean of both heads."""
        dtype = self.head.weight.dtype
        return (self.head(feature[0].to(dtype)) + self.teacher_head(feature[1].to(dtype))) / 2


def open_teacher(source: str, num_classes: int) -> tuple[nn.Module, Normalise]:
    """The net, frozen and in eval mode, and the normalisation it was trained by.

    Raises:
        UserError: no timm model, no weights to be had, or other classes.
    """
    if not source.startswith(TIMM):
        raise UserError(
            f'DistilledClassifier: teacher={source!r}; give timm:NAME or timm:NAME@FILE'
        )
    import timm

    tensors = open_source(source).tensors
    net = timm.create_model(source.removeprefix(TIMM).partition('@')[0], pretrained=False)
    if net.num_classes != num_classes:
        raise UserError(
            f'DistilledClassifier: {source} tells {net.num_classes} classes, the data has '
            f'{num_classes}; take a teacher of these classes'
        )
    try:
        net.load_state_dict(tensors)
    except RuntimeError as error:
        raise UserError(
            f'DistilledClassifier: the weights do not fit {source} ({" ".join(str(error).split())})'
        ) from error
    said = net.pretrained_cfg
    return net.eval().requires_grad_(False), Normalise(said['mean'], said['std'], white=255)
