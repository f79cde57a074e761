"""Hiera's MAE: encode what is visible of a hierarchical transformer, regress what is hidden.

L = 1 / |M| * sum over hidden positions i of mean((x_i - y_i)^2)       M: 2 x 2 for each hidden unit
paper: arXiv 2306.00989, section 3; model and loss as released in facebookresearch/hiera
mask   units of 32 px, maskers/random_patch.py       target  normalised patches, targets/patches.py
fusion of the stages, decoders/hiera.py              decoder  as MAE's, decoders/mae.py
recipe configs/pretrain/hiera-mae.py; a small one of MAE-Lite, mae-lite_hiera-ti_400e.py

Beside MAE: whole mask units are dropped, each of several predicted positions of 16 px; what is
decoded comes from several stages; the decoder learns its positions; and the values of a position
run over colour, row, column. Pre-training pools twice (q_pool=2), what comes after it three times.
"""

from collections.abc import Sequence
from typing import Any

import torch.nn as nn
from torch import Tensor

from mim_backbones.backbones.hiera import MIMHiera
from mim_backbones.checkpoints.source import Content
from mim_backbones.images.normalise import IMAGENET_MEAN, IMAGENET_STD
from pretrain.decoders.hiera import StageFusion
from pretrain.methods.base import Infer
from pretrain.methods.mae import MAE, released_decoder
from pretrain.registry import MODELS

# Width of a released decoder -> share of the units hidden, which a file does not say: Hiera's own,
# and MAE-Lite's.
MASK_RATIOS = {512: 0.6, 96: 0.4}
# Our names -> the released ones.
RELEASED = {'fusion.norm.': 'encoder_norm.', 'fusion.convs.': 'multi_scale_fusion_heads.'}


@MODELS.register_module()
class HieraMAE(MAE):
    """MAE of a MIMHiera, on several of its stages.

    Args:
        backbone: config of a MIMHiera.
        others: see `MAE`.

    Raises:
        ValueError: another backbone, or what `MAE` refuses.
    """

    def __init__(
        self,
        backbone: dict[str, Any],
        target: dict[str, Any] = {'type': 'PatchTarget', 'channels': 'first'},  # noqa: B006
        decoder: dict[str, Any] = {'type': 'MAEDecoder', 'pos_embed': 'learned'},  # noqa: B006
        loss: str = 'l2',
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        data_preprocessor: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(backbone, target, decoder, loss, None, mean, std, data_preprocessor)
        if not isinstance(self.backbone, MIMHiera):
            raise ValueError(f'HieraMAE is for MIMHiera, not {backbone["type"]}; use MAE')
        self.fusion = StageFusion(self.backbone)
        draw_backbone(self.backbone)

    @property
    def released_masker(self) -> dict[str, Any]:  # type: ignore[override]  # of this size
        ratio = MASK_RATIOS.get(self.decoder.mask_token.shape[-1], 0.6)
        return {'type': 'RandomPatchMasker', 'unit_px': None, 'ratio': ratio}

    @property
    def decoded(self) -> list[int]:
        return [block + 1 for block in self.fusion.blocks]

    def latents(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        return [self.fusion(inputs)]

    @classmethod
    def described(
        cls, content: Content, names: set[str], infer: Infer, options: dict[str, Any]
    ) -> dict[str, Any] | None:
        """Source of the names: facebookresearch/hiera; all its files predict normalised patches."""
        if not {'encoder_norm.weight', 'decoder_embed.weight'} <= names:
            return None
        decoder = released_decoder(content, names, options)
        norm_pix = options.get('norm_pix', True)
        return {
            'type': 'HieraMAE',
            'backbone': infer(),
            'target': {'type': 'PatchTarget', 'norm_pix': norm_pix, 'channels': 'first'},
            'decoder': {**decoder, 'pos_embed': 'learned'},
        }

    @classmethod
    def own_names(cls, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Source: facebookresearch/hiera, hiera_mae.py."""
        found = super().own_names(state)
        for ours, theirs in RELEASED.items():
            for name, value in state.items():
                if name.startswith((ours, theirs)):
                    found[ours + name.removeprefix(ours).removeprefix(theirs)] = value
        return found


def draw_backbone(backbone: MIMHiera) -> None:
    """The released start: Xavier for linear layers, and for the stem over a whole patch."""
    for module in backbone.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            nn.init.zeros_(module.bias)
    stem = backbone.patch_embed.proj
    stem.reset_parameters()  # its bias starts as PyTorch's
    nn.init.xavier_uniform_(stem.weight.view(len(stem.weight), -1))
