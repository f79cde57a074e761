"""The tokenizer that VQ-KD trains: image -> ids of the codes nearest to its patch features.

    image in [0, 1] -> [-1, 1] -> ViT, LayerNorm per patch -> Linear, Tanh, Linear -> nearest code

paper: arXiv 2208.06366, section 2.1; names and sizes of microsoft/unilm beit2, modeling_vqkd.py
and norm_ema_quantizer.py
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn as nn
from timm.layers import trunc_normal_
from torch import Tensor

from mim_backbones.checkpoints.safe.weights_file import CheckpointError
from mim_backbones.checkpoints.source import Content
from mim_backbones.errors import UserError
from pretrain.methods.base import Infer, Method
from pretrain.registry import MODELS
from pretrain.tokenizers.ema_codebook import EMACodebook

PUBLISHED = {
    'quantize.embedding.weight': 'quantize.codebook',
    'quantize.embedding.initted': 'quantize.started',
}
# What training leaves in the codebook beside its vectors: starts at zero in a loaded tokenizer.
STATISTICS = ('usage', 'hits', 'idle', 'steps')
PARTS = ('quantize.', 'encode_task_layer.')


@MODELS.register_module()
class VQKDTokenizer(Method):
    """Encoder and codebook: all that is needed once a tokenizer is trained.

    Args:
        backbone: config of the encoder. As published: a MIMViT with qkv_bias='qv',
            final_norm=False, fc_norm=True; the `fc_norm` is applied to each patch token.
        codebook: arguments of `EMACodebook`.
        mean, std: per channel of images in [0, 1]; the published model's [-1, 1] is 0.5, 0.5.

    Attributes:
        codes: size of the vocabulary.
        token_px: side in pixels of what one id stands for.
        input_size: side in pixels of the images the encoder was made for; others are taken too.

    Raises:
        ValueError: what the encoder or the codebook refuses.
    """

    unneeded = tuple(f'quantize.{name}' for name in STATISTICS)

    def __init__(
        self,
        backbone: dict[str, Any],
        codebook: dict[str, Any] | None = None,
        mean: Sequence[float] = (0.5, 0.5, 0.5),
        std: Sequence[float] = (0.5, 0.5, 0.5),
        target: dict[str, Any] | None = None,
        data_preprocessor: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(backbone, target, mean, std, data_preprocessor)
        self.quantize = EMACodebook(**(codebook or {}))
        self.codes, dim = self.quantize.codebook.shape
        self.encode_task_layer = task_layer(self.backbone.embed_dim, dim)
        draw_patch_projection(self.backbone)
        self.token_px, self.input_size = self.backbone.stride, self.img_size
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
        """image (B, 3, H, W) in [0, 1] -> the encoder's normed patch tokens (B, h, w, D).

        Raises:
            UserError: an image of no whole tokens.
        """
        height, width = image.shape[-2:]
        if height % self.token_px or width % self.token_px:
            raise UserError(
                f'the tokenizer cannot take images of {height}x{width} px: a token is '
                f'{self.token_px} px; give a multiple of it'
            )
        return normed_patches(self.backbone, self.normalise(image))

    def freeze(self) -> 'VQKDTokenizer':
        """No gradients and eval mode for good, whatever `train()` the owner calls."""
        self.frozen = True
        return self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> 'VQKDTokenizer':
        return super().train(mode and not self.frozen)

    @classmethod
    def for_loading(cls, model: dict[str, Any], facts: dict[str, Any]) -> dict[str, Any]:
        """What is left of a training once it is over: the tokenizer."""
        kept = {key: model[key] for key in ('backbone', 'codebook', 'mean', 'std') if key in model}
        return {'type': 'VQKDTokenizer', **kept}

    @classmethod
    def described(
        cls, content: Content, names: set[str], infer: Infer, options: dict[str, Any]
    ) -> dict[str, Any] | None:
        if cls is not VQKDTokenizer or 'quantize.embedding.weight' not in names:
            return None
        book = next(
            v for k, v in content.tensors.items() if k.endswith('quantize.embedding.weight')
        )
        codes, dim = book.shape
        size = {'codes': codes, 'dim': dim}
        return {'type': 'VQKDTokenizer', 'backbone': infer(), 'codebook': size}

    @classmethod
    def own_names(cls, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Of encoder and codebook alone: teacher, decoder, losses and statistics are left out.

        Raises:
            CheckpointError: the codebook was never started.
        """
        state = {PUBLISHED.get(name, name): value for name, value in state.items()}
        kept = {
            name: value
            for name, value in state.items()
            if name.startswith(PARTS)
            and '.embedding.' not in name
            and name.rpartition('.')[2] not in (*STATISTICS, 'cluster_size')
        }
        started = kept.pop('quantize.started', torch.ones(1)).reshape(-1)[0].bool()
        if not started:
            raise CheckpointError('it was saved before its codebook was started; train it')
        return {**kept, 'quantize.started': started}


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
