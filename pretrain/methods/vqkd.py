"""VQ-KD: learn a vocabulary of patches by rebuilding a teacher's features from their codes.

L = mean (1 - cos(decoder(z_q), teacher))  +  beta mean (z - sg[e])^2        z_q = z + sg[e - z]
paper: arXiv 2208.06366, section 2.1; recipe and details: microsoft/unilm beit2, TOKENIZER.md
mask   none                                            target  a teacher, targets/features.py
head   a small ViT on the map of codes                 recipe  configs/pretrain/vqkd.py

The codebook has no loss: it follows its vectors (tokenizers/ema_codebook.py). The commitment term
averages over channels too, as in the released code: 1/C of the squared norm in the paper.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mim_backbones.registry import MODELS as BACKBONES
from pretrain.losses import cosine
from pretrain.registry import MODELS
from pretrain.targets.base import Wanted
from pretrain.tokenizers.vqkd import (
    VQKDTokenizer,
    draw_patch_projection,
    normed_patches,
    task_layer,
)


@MODELS.register_module()
class VQKD(VQKDTokenizer):
    """The tokenizer and what it is trained with.

    Args:
        backbone, codebook, mean, std: see `VQKDTokenizer`.
        decoder: arguments of the decoder's MIMViT: `arch`, and others that shall differ from the
            published ones.
        target: config of a `FeatureTarget`.

    Raises:
        ValueError: a target of another kind, or encoder and teacher divide the image into
            different grids.
        UserError: what the teacher refuses, missing weights among it.
    """

    def __init__(
        self,
        backbone: dict[str, Any],
        decoder: dict[str, Any],
        target: dict[str, Any],
        codebook: dict[str, Any] | None = None,
        mean: Sequence[float] = (0.5, 0.5, 0.5),
        std: Sequence[float] = (0.5, 0.5, 0.5),
        data_preprocessor: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(backbone, codebook, mean, std, target, data_preprocessor)
        if self.target.kind != 'features':
            raise ValueError(f'VQKD rebuilds features, {target["type"]} gives {self.target.kind}')
        published = {
            'type': 'mim_backbones.MIMViT', 'qkv_bias': 'qv', 'final_norm': False, 'fc_norm': True,
        }  # fmt: skip
        made_for = {
            'img_size': self.backbone.grid,
            'patch_size': 1,
            'in_channels': self.quantize.codebook.shape[1],
        }
        self.decoder = BACKBONES.build({**published, **decoder, **made_for})
        draw_patch_projection(self.decoder)
        self.decode_task_layer = task_layer(self.decoder.embed_dim, self.target.width)

    def forward(
        self,
        image: Tensor,
        target_image: Tensor | None = None,
        target_features: Tensor | None = None,
        mode: str = 'tensor',
    ) -> Any:
        """mode 'loss': dict of losses; else ids (B, h, w). Images (B, 3, H, W) in [0, 1].

        target_features: see `Target.stored`.
        """
        if mode != 'loss':
            return self.encode(image)
        if target_features is not None:
            return self.loss(image, self.target.stored(target_features))
        return self.loss(image, self.target(image if target_image is None else target_image))

    @torch.no_grad()
    def prepare(
        self,
        image: Tensor,
        target_image: Tensor | None = None,
        target_features: Tensor | None = None,
    ) -> None:
        if target_features is None:
            self.target(image if target_image is None else target_image)
        self.quantize.start(self.features(image))

    def loss(self, image: Tensor, wanted: Wanted) -> dict[str, Tensor]:
        """No randomness; in train mode the codebook takes a step."""
        code = self.quantize(self.features(image))
        rebuilt = self.decode(code.vectors).permute(0, 3, 1, 2)  # (B, T, h, w)
        return {'loss_rec': cosine(rebuilt, wanted.values).mean(), 'loss_quant': code.loss}

    def decode(self, vectors: Tensor) -> Tensor:
        """Code vectors (B, h, w, C) -> teacher features (B, h, w, T)."""
        tokens = normed_patches(self.decoder, vectors.permute(0, 3, 1, 2))
        return self.decode_task_layer(tokens)
