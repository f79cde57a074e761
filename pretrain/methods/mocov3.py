"""MoCo v3: tell the other view of an image from the other images of the batch.

L = contrast(q(x1), k(x2)) + contrast(q(x2), k(x1))
contrast(q, k) = 2 T * mean_i -log softmax_j(cos(q_i, k_j) / T)[i]

i: images of a process, j: of all         q: backbone, projector, predictor
k: the momentum encoder, a slow copy of backbone and projector, no gradient
paper: arXiv 2104.02057, section 4.1; recipe released as facebookresearch/moco-v3
mask   none; two views, images/two_views.py      target  the momentum encoder, targets/momentum.py
heads  MLPs, heads/projector.py                  recipe  configs/pretrain/mocov3.py

The released code moves the momentum encoder between queries and keys of a step, here it moves at
the end of the step before, by the same momentum: keys are the same, gradients may be accumulated.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmengine.dist import all_gather, get_rank
from torch import Tensor

from mim_backbones.backbones.base import MIMBackbone
from mim_backbones.backbones.vit import MIMViT
from mim_backbones.checkpoints.safe.weights_file import CheckpointError
from mim_backbones.checkpoints.source import Content
from mim_backbones.errors import UserError
from mim_backbones.images.normalise import IMAGENET_MEAN, IMAGENET_STD
from pretrain.heads.projector import normed_mlp
from pretrain.methods.base import Infer, Method
from pretrain.methods.start import draw_mocov3
from pretrain.registry import MODELS
from pretrain.targets.base import bound_target
from pretrain.targets.momentum import MomentumKeys


@MODELS.register_module()
class MoCoV3(Method):
    """Queries of two views against the keys of the other one.

    Args:
        backbone: config of a backbone; of its CLS token where it has one, else of the mean.
        hidden_dim, out_dim: widths of projector and predictor, and of what is compared.
        temperature: T.
        momentum: of the momentum encoder at the start; it rises to 1 along half a cosine. None for
            a model that has nothing left to learn.
        frozen_patches: whether the patch projection keeps its random start (section 4.2).
        mean, std: see `Method`.

    Raises:
        ValueError: a momentum outside of [0, 1].
    """

    def __init__(
        self,
        backbone: dict[str, Any],
        hidden_dim: int = 4096,
        out_dim: int = 256,
        temperature: float = 0.2,
        momentum: float | None = 0.99,
        frozen_patches: bool = True,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        data_preprocessor: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(backbone, None, mean, std, data_preprocessor)
        if isinstance(self.backbone, MIMViT):
            draw_mocov3(self.backbone)
        self.projector = normed_mlp(self.backbone.last_dim, hidden_dim, hidden_dim, out_dim)
        self.predictor = normed_mlp(out_dim, hidden_dim, out_dim)
        self.temperature = temperature
        if frozen_patches:
            self.backbone.patch_embed.proj.requires_grad_(False)
        if momentum is not None:
            keys = MomentumKeys(self.encoder, out_dim, momentum)
            self.target = bound_target(keys, self.backbone)

    @property
    def encoder(self) -> 'Encoder':
        """What the momentum encoder is a copy of."""
        return Encoder(self.normalise, self.backbone, self.projector)

    def forward(
        self, image: Tensor, second_image: Tensor | None = None, mode: str = 'tensor'
    ) -> Any:
        """mode 'loss': dict of the loss; else queries (B, out_dim).

        Args:
            image, second_image: (B, 3, H, W) in [0, 1], two views of the same images.

        Raises:
            UserError: a loss of one view, or of a model without its momentum encoder.
        """
        if mode != 'loss':
            return self.query(image)
        if second_image is None:
            raise UserError(
                "MoCoV3 compares two views; give train_dataloader.dataset.type='TwoViews'"
            )
        return self.loss(image, second_image)

    def query(self, image: Tensor) -> Tensor:
        """What the student says of an image in [0, 1]: (B, out_dim)."""
        return self.predictor(self.encoder(image))

    def loss(self, image: Tensor, second_image: Tensor) -> dict[str, Tensor]:
        """No randomness; batch norms see each view by itself."""
        if self.target is None:
            raise UserError('this model was loaded to predict, without its momentum encoder')
        views = image, second_image
        first, second = (self.query(view) for view in views)
        first_keys, second_keys = (self.target(view).values.flatten(1) for view in views)
        one = contrast(first, second_keys, self.temperature)
        return {'loss': one + contrast(second, first_keys, self.temperature)}

    @classmethod
    def for_loading(cls, model: dict[str, Any], facts: dict[str, Any]) -> dict[str, Any]:
        """What is left of a training once it is over: the student."""
        return {**model, 'momentum': None}

    @classmethod
    def described(
        cls, content: Content, names: set[str], infer: Infer, options: dict[str, Any]
    ) -> dict[str, Any] | None:
        """Source of the names: facebookresearch/moco-v3, moco/builder.py."""
        if not any('momentum_encoder.head.' in name for name in content.tensors):
            return None
        raise CheckpointError(
            f'checkpoint {content.name} is of MoCo v3, which compares images and predicts nothing '
            'of one; its backbone is what there is to use (mimbench convert, mimbench eval)'
        )


class Encoder(nn.Module):
    """Image (B, 3, H, W) in [0, 1] -> what is compared (B, out_dim)."""

    def __init__(self, normalise: nn.Module, backbone: MIMBackbone, projector: nn.Module) -> None:
        super().__init__()
        self.normalise = normalise
        self.backbone = backbone
        self.projector = projector

    def forward(self, image: Tensor) -> Tensor:
        pool = 'cls' if getattr(self.backbone, 'num_cls', 0) else 'mean'
        return self.projector(self.backbone.forward_pooled(self.normalise(image), pool))


def contrast(queries: Tensor, keys: Tensor, temperature: float) -> Tensor:
    """2 T times the cross-entropy of finding the own key; queries, keys (B, C), B in all processes.

    The keys of all processes are compared with, without gradient; in float32 at least, whatever the
    autocast.
    """
    with torch.autocast(queries.device.type, enabled=False):
        dtype = torch.promote_types(queries.dtype, torch.float32)
        queries = F.normalize(queries.to(dtype), dim=1)
        keys = torch.cat(all_gather(F.normalize(keys.to(dtype), dim=1)))
        own = torch.arange(len(queries), device=keys.device) + len(queries) * get_rank()
        entropy = F.cross_entropy(queries @ keys.T / temperature, own)
    return 2 * temperature * entropy
