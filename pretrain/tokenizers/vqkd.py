"""The tokenizer that VQ-KD trains: image -> ids of the codes nearest to its patch features.

    image in [0, 1] -> [-1, 1] -> ViT, LayerNorm per patch -> Linear, Tanh, Linear -> nearest code

paper: arXiv 2208.06366, section 2.1; names and sizes of microsoft/unilm beit2, modeling_vqkd.py
"""

from typing import Any

import torch
import torch.nn as nn
from mmengine.model import BaseModel
from timm.layers import trunc_normal_
from torch import Tensor

from mim_backbones.backbones.base import grid_of
from mim_backbones.registry import MODELS as BACKBONES
from pretrain.registry import MODELS, build
from pretrain.tokenizers.ema_codebook import EMACodebook

UNIT = {'type': 'pretrain.ImagePreprocessor', 'mean': (0, 0, 0), 'std': (255, 255, 255)}


@MODELS.register_module()
class VQKDTokenizer(BaseModel):
    """Encoder and codebook: all that is needed once a tokenizer is trained.

    Args:
        backbone: config of the encoder. As published: a MIMViT with qkv_bias='qv',
            final_norm=False, fc_norm=True; the `fc_norm` is applied to each patch token.
        codebook: arguments of `EMACodebook`.
        mean, std: per channel of images in [0, 1]; the published model's [-1, 1] is 0.5, 0.5.

    Attributes:
        codes: size of the vocabulary.
        input_size: side in pixels of the images the encoder is made for.
        grid: (h, w) of the ids of such an image.

    Raises:
        ValueError: what the encoder or the codebook refuses.
    """

    def __init__(
        self,
        backbone: dict[str, Any],
        codebook: dict[str, Any] | None = None,
        mean: tuple[float, ...] = (0.5, 0.5, 0.5),
        std: tuple[float, ...] = (0.5, 0.5, 0.5),
        data_preprocessor: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(build(MODELS, data_preprocessor or UNIT))
        self.encoder: nn.Module = BACKBONES.build(backbone)
        self.quantize = EMACodebook(**(codebook or {}))
        self.codes, dim = self.quantize.codebook.shape
        self.encode_task_layer = task_layer(self.encoder.embed_dim, dim)
        draw_patch_projection(self.encoder)
        self.input_size = backbone.get('img_size', 224)
        self.grid = grid_of('VQKD', self.input_size, self.encoder.stride)
        self.register_buffer('mean', torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer('std', torch.tensor(std).view(-1, 1, 1), persistent=False)
        self.frozen = False

    def forward(self, image: Tensor, mode: str = 'tensor') -> Any:
        """image (B, 3, H, W) in [0, 1] -> ids (B, h, w)."""
        assert mode != 'loss', 'a tokenizer alone has no loss; train pretrain.VQKD'
        return self.encode(image)

    def encode(self, image: Tensor) -> Tensor:
        """image (B, 3, H, W) in [0, 1], RGB -> ids (B, h, w) int64, raster order.

        No gradient, no statistics and no communication, in train mode either.
        """
        with torch.no_grad():
            return self.quantize.encode(self.features(image))

    def features(self, image: Tensor) -> Tensor:
        """image (B, 3, H, W) in [0, 1] -> what is quantized, (B, h, w, C) float32."""
        tokens = self.patch_tokens(image)
        # As published: whatever the autocast, ids depend on these two layers being exact.
        with torch.autocast(image.device.type, enabled=False):
            return self.encode_task_layer(tokens.float())

    def patch_tokens(self, image: Tensor) -> Tensor:
        """image (B, 3, H, W) in [0, 1] -> the encoder's normed patch tokens (B, h, w, D)."""
        return normed_patches(self.encoder, (image - self.mean) / self.std)

    def freeze(self) -> 'VQKDTokenizer':
        """No gradients and eval mode for good, whatever `train()` the owner calls."""
        self.frozen = True
        return self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> 'VQKDTokenizer':
        return super().train(mode and not self.frozen)


def normed_patches(vit: nn.Module, x: Tensor) -> Tensor:
    """Last map of a backbone, channels last, each token through `fc_norm`: (B, h, w, D)."""
    return vit.fc_norm(vit.forward_tokens(x).permute(0, 2, 3, 1))


def task_layer(in_dim: int, out_dim: int) -> nn.Sequential:
    """Linear, Tanh, Linear; drawn as the published model's."""
    layer = nn.Sequential(nn.Linear(in_dim, in_dim), nn.Tanh(), nn.Linear(in_dim, out_dim))
    for module in (layer[0], layer[2]):
        trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
    return layer


def draw_patch_projection(vit: nn.Module) -> None:
    """PyTorch's own start for the patch projection, as the published encoder and decoder have.

    The decoder needs it: its inputs are unit vectors of a few channels, which weights of the
    usual 0.02 would make vanish beside the positions.
    """
    vit.patch_embed.proj.reset_parameters()
