"""TinyMIM: a small ViT relates the tokens of an image as a block of a large one does.

L = sum over relations r of  mean over images, heads, tokens of KL(R_t || R_s)
    R = softmax(a b^T / sqrt(d)); r says which of queries, keys and values a and b are: QK and VV
paper: arXiv 2301.01296 (released as OliverRensu/TinyMIM): 85.0 with ViT-B, MAE's ViT-L the teacher
mask   none; the student's colours are jittered, the teacher's are not
target a frozen ViT, targets/token_relations.py   recipe  configs/pretrain/tinymim_vit-b_300e.py

The student's last block is asked, cut into as many heads as the teacher's. What lies behind its
queries, keys and values takes no part and keeps its start, as released: fine-tuning trains it.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mim_backbones.errors import UserError
from mim_backbones.images.normalise import IMAGENET_MEAN, IMAGENET_STD
from pretrain.losses import divergence
from pretrain.methods.base import Method
from pretrain.registry import MODELS
from pretrain.targets.base import Target, Wanted, bound_target
from pretrain.targets.token_relations import (
    TokenRelationTarget,
    check_heads,
    readable,
    token_relations,
)


@MODELS.register_module()
class TinyMIM(Method):
    """Nothing is hidden, nothing is predicted: relations of tokens are compared.

    Args:
        backbone: config of a MIMViT without relative positions, with the teacher's patches and
            tokens beside.
        target: config of a `TokenRelationTarget`.
        mean, std: see `Method`.

    Raises:
        ValueError: a target of another kind, heads that do not divide the student's channels, or
            other tokens than the teacher's.
        UserError: what the teacher refuses, missing weights among it.
    """

    def __init__(
        self,
        backbone: dict[str, Any],
        target: dict[str, Any] | Target,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        data_preprocessor: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(backbone, None, mean, std, data_preprocessor)
        vit = readable(self.backbone, 'TinyMIM: the backbone')
        self.target = bound_target(target, vit)
        if self.target.kind != 'relations':
            name = type(self.target).__name__
            raise ValueError(f'TinyMIM compares relations, {name} gives {self.target.kind}')
        if isinstance(self.target, TokenRelationTarget):
            check_heads(vit, self.target.heads, 'student')
            if vit.num_prefix != self.target.num_prefix:
                raise ValueError(
                    f'TinyMIM: the teacher has {self.target.num_prefix} CLS and register tokens, '
                    f'the student {vit.num_prefix}; give the backbone the same cls_token and '
                    'num_registers'
                )
        vit.norm.requires_grad_(False)
        for name, parameter in vit.blocks[-1].named_parameters():
            if not name.startswith(('norm1.', 'attn.q', 'attn.v')):
                parameter.requires_grad_(False)

    def forward(
        self,
        image: Tensor,
        mask: Tensor | None = None,
        target_image: Tensor | None = None,
        mode: str = 'tensor',
    ) -> Any:
        """mode 'loss': dict of losses; else what goes into the last block, (B, N, D), CLS first.

        Args:
            image, target_image: (B, 3, H, W) in [0, 1], the student's and the teacher's view of a
                crop; of one alone both look at it.

        Raises:
            UserError: the data set hides something.
        """
        if mask is not None:
            raise UserError('TinyMIM hides nothing; give train_dataloader.dataset.masker=None')
        if mode != 'loss':
            return self.tokens(image)
        return self.loss(image, self.wanted(image if target_image is None else target_image))

    def prepare(self, image: Tensor, target_image: Tensor | None = None) -> None:
        self.wanted(image if target_image is None else target_image)

    @torch.no_grad()
    def wanted(self, image: Tensor) -> Wanted:
        """The teacher's relations of an image in [0, 1]."""
        return self.target(image)

    def tokens(self, image: Tensor) -> Tensor:
        """What goes into the student's last block: (B, N, D), CLS first."""
        (x,) = self.backbone.block_inputs(self.normalise(image), (self.backbone.depth - 1,))
        return x

    def loss(self, image: Tensor, wanted: Wanted) -> dict[str, Tensor]:
        """No randomness but drop path."""
        relations, heads = self.target.relations, self.target.heads
        last = self.backbone.depth - 1
        logits = token_relations(self.backbone, last, self.tokens(image), relations, heads)
        values = wanted.values.split(heads, dim=1)
        return {
            f'loss_{pair}': divergence(said, there).mean()
            for pair, said, there in zip(relations, logits, values, strict=True)
        }
