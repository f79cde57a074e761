"""dBOT: MAE whose target is what its own predecessor makes of the image, stage after stage.

L = mean over hidden tokens and CLS of smooth_l1(x_i - y_i), beta = 2
paper: arXiv 2209.03917, section 3; 84.5 top-1 with ViT-B in two stages of 800 epochs
mask   single patches, maskers/random_patch.py       target  the teacher, targets/bootstrap.py
decoder  as MAE                                      recipe  configs/pretrain/dbot_vit-b_1600e.py

The rates start anew with each stage: a schedule for each in the recipe.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mim_backbones.checkpoints.source import Content
from mim_backbones.images.normalise import IMAGENET_MEAN, IMAGENET_STD
from pretrain.methods.base import Infer
from pretrain.methods.mae import MAE, released_decoder
from pretrain.methods.start import draw_mae
from pretrain.registry import MODELS

STAGES = {'type': 'BootstrapTarget'}


@MODELS.register_module()
class DBOT(MAE):
    """Visible tokens alone go through the encoder; a decoder predicts hidden tokens and CLS.

    Args:
        backbone: config of a MIMViT with a CLS token and without layer scale.
        target: config of a `BootstrapTarget`.
        beta: where the loss turns from a parabola into a line.
        decoder, mean, std: see `MAE`.

    Raises:
        ValueError: a backbone that cannot be drawn anew, or a target without values of CLS.
    """

    def __init__(
        self,
        backbone: dict[str, Any],
        target: dict[str, Any] = STAGES,
        decoder: dict[str, Any] = {'type': 'MAEDecoder'},  # noqa: B006
        beta: float = 2.0,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        data_preprocessor: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(
            backbone, target, decoder, 'smooth_l1', mean=mean, std=std,
            data_preprocessor=data_preprocessor, selector='masked+cls', beta=beta,
        )  # fmt: skip
        draw_mae(self.backbone)
        self.target.start(self)

    def draw_again(self, seed: int) -> None:
        """Start anew, by the same numbers in every process, but for the patch projection's bias."""
        device = self.decoder.mask_token.device
        with torch.random.fork_rng([] if device.type == 'cpu' else [device]):
            torch.manual_seed(seed)
            draw_mae(self.backbone)
            draw_mae(self.decoder)

    @classmethod
    def for_loading(cls, model: dict[str, Any], facts: dict[str, Any]) -> dict[str, Any]:
        return super().for_loading({'target': STAGES, **model}, facts)

    @classmethod
    def described(
        cls, content: Content, names: set[str], infer: Infer, options: dict[str, Any]
    ) -> dict[str, Any] | None:
        """Source of the names: liuxingbin/dbot, models_mae.py."""
        if 'decoder_predp.weight' not in names:
            return None
        decoder, backbone = released_decoder(content, names, options), infer()
        width = next(len(v) for k, v in content.tensors.items() if k.endswith('predp.weight'))
        absent = {'type': 'AbsentTarget', 'kind': 'features', 'width': width, 'whole': True}
        return {'type': 'DBOT', 'backbone': backbone, 'target': absent, 'decoder': decoder}

    @classmethod
    def own_names(cls, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """As MAE's, but for the last layer's."""
        return super().own_names({k.replace('_predp.', '_pred.'): v for k, v in state.items()})
