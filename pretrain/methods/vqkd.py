"""VQ-KD: learn a vocabulary of patches by rebuilding a teacher's features from their codes.

L = mean (1 - cos(decoder(z_q), teacher))  +  beta mean (z - sg[e])^2        z_q = z + sg[e - z]
paper: arXiv 2208.06366, section 2.1; recipe and details: microsoft/unilm beit2, TOKENIZER.md
mask   none                                            target  patch tokens of a frozen teacher
head   a small ViT on the map of codes                 recipe  configs/pretrain/vqkd.py

The codebook has no loss: it follows its vectors (tokenizers/ema_codebook.py). The commitment term
averages over channels too, as in the released code: 1/C of the squared norm in the paper.
"""

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from mim_backbones.registry import MODELS as BACKBONES
from pretrain.registry import MODELS, build
from pretrain.targets.features import FrozenTeacher
from pretrain.tokenizers.vqkd import (
    VQKDTokenizer,
    draw_patch_projection,
    normed_patches,
    task_layer,
)


@MODELS.register_module()
class VQKD(VQKDTokenizer):
    """The tokenizer and what it is trained with; the teacher is neither trained nor saved.

    Args:
        backbone, codebook, mean, std: see `VQKDTokenizer`.
        decoder: arguments of the decoder's MIMViT: `arch`, and others that shall differ from the
            published ones.
        teacher: config of a teacher, see `teachers/`.

    Raises:
        ValueError: encoder and teacher divide the image into different grids.
        UserError: what the teacher refuses, missing weights among it.
    """

    def __init__(
        self,
        backbone: dict[str, Any],
        decoder: dict[str, Any],
        teacher: dict[str, Any],
        codebook: dict[str, Any] | None = None,
        mean: tuple[float, ...] = (0.5, 0.5, 0.5),
        std: tuple[float, ...] = (0.5, 0.5, 0.5),
        data_preprocessor: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(backbone, codebook, mean, std, data_preprocessor)
        self.teacher = FrozenTeacher(build(MODELS, teacher), self.input_size, self.grid)
        published = {
            'type': 'mim_backbones.MIMViT', 'qkv_bias': 'qv', 'final_norm': False, 'fc_norm': True,
        }  # fmt: skip
        made_for = {
            'img_size': self.grid,
            'patch_size': 1,
            'in_channels': self.quantize.codebook.shape[1],
        }
        self.decoder = BACKBONES.build({**published, **decoder, **made_for})
        draw_patch_projection(self.decoder)
        self.decode_task_layer = task_layer(self.decoder.embed_dim, self.teacher.embed_dim)

    def forward(self, image: Tensor, mode: str = 'tensor') -> Any:
        """mode 'loss': dict of losses; else ids (B, h, w). image (B, 3, H, W) in [0, 1]."""
        return self.loss(image) if mode == 'loss' else self.encode(image)

    def loss(self, image: Tensor) -> dict[str, Tensor]:
        """image (B, 3, H, W) in [0, 1]. No randomness; in train mode the codebook takes a step."""
        target = self.teacher(image)  # (B, N, T)
        code = self.quantize(self.features(image))
        rebuilt = self.decode(code.vectors).flatten(1, 2)  # (B, N, T)
        similarity = F.cosine_similarity(rebuilt.float(), target.float(), dim=-1)
        return {'loss_rec': (1 - similarity).mean(), 'loss_quant': code.loss}

    def decode(self, vectors: Tensor) -> Tensor:
        """Code vectors (B, h, w, C) -> teacher features (B, h, w, T)."""
        tokens = normed_patches(self.decoder, vectors.permute(0, 3, 1, 2))
        return self.decode_task_layer(tokens)
