"""D-MAE: MAE whose last block must relate the visible tokens as a teacher's does.

L = L_MAE + the errors of distilled.py, of the visible tokens alone, which both encoders share
paper: arXiv 2404.12210 (D-MAE-Lite, D2-MAE-Lite; released as wangsr126/MAE-Lite): 78.4 and 78.7;
       78.9 with a Hiera of 46 channels
mask, target, decoder  as MAE, or as Hiera's MAE
recipe  configs/pretrain/d-mae-lite_vit-ti_400e.py, d-mae-lite_hiera-ti_400e.py
"""

from torch import Tensor

from mim_backbones.backbones.layers.tokens import visible_indices
from pretrain.methods.distilled import Distilled
from pretrain.methods.hiera_mae import HieraMAE
from pretrain.methods.mae import MAE
from pretrain.registry import MODELS
from pretrain.targets.base import Wanted


@MODELS.register_module()
class DMAE(Distilled, MAE):
    """MAE and what its blocks learn from those of a teacher that sees the same tokens.

    Args: see `Distilled` and `MAE`; a ViT as teacher has no relative positions.
    """

    def shown(self, mask: Tensor) -> dict[str, Tensor]:
        return {'keep': visible_indices(mask)}

    def loss(self, image: Tensor, mask: Tensor, wanted: Wanted) -> dict[str, Tensor]:
        visible, keep, hidden = self.split(mask)
        inputs, errors = self.distilled(image, keep=visible)
        losses = self.decoded_losses(self.latents(inputs), keep, hidden, wanted)
        return {'loss_rec': losses.pop('loss'), **losses, **errors}


@MODELS.register_module()
class DHieraMAE(DMAE, HieraMAE):
    """The same of Hiera's MAE, whose mask units both encoders share.

    Args: see `Distilled` and `HieraMAE`; a teacher is pooled as often as the student.
    """
