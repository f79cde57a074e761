"""MILAN: MAE on CLIP's features, where what CLIP looks at stays visible.

    image -> CLIP -> features, and how much its CLS token attends to each patch
    that attention -> mask -> visible patches -> encoder -> prompting decoder
    L = mean over all positions and CLS of 2 - 2 cos
paper: arXiv 2208.06049; code: zejiangh/MILAN
mask  maskers/by_importance.py   decoder  decoders/prompting.py   recipe  configs/pretrain/milan_*
"""

from typing import Any

from torch import Tensor

from mim_backbones.checkpoints.source import Content
from pretrain.maskers.by_importance import importance_mask
from pretrain.methods.base import Infer
from pretrain.methods.mae import MAE, released_decoder
from pretrain.registry import MODELS


@MODELS.register_module()
class MILAN(MAE):
    """MAE that draws its own masks; a data set with a masker decides in its place.

    Args:
        backbone: config of a MIMViT.
        target: of a `FeatureTarget` with importance=True, on the grid of the tokens.
        ratio: share of hidden patches.
        options: of `MAE`.

    Raises:
        ValueError: what `MAE` refuses, or a ratio outside (0, 1).
    """

    needs_mask = False

    def __init__(
        self, backbone: dict[str, Any], target: dict[str, Any], ratio: float = 0.75, **options: Any
    ) -> None:
        options = {
            'decoder': {'type': 'PromptingDecoder'}, 'loss': 'cosine', 'shift': 2.0, 'scale': 2.0,
            'selector': 'all+cls', **options,
        }  # fmt: skip
        super().__init__(backbone, target, **options)
        if not 0 < ratio < 1:
            raise ValueError(f'MILAN: ratio={ratio} is not between 0 and 1')
        self.ratio = ratio

    def forward(
        self,
        image: Tensor,
        mask: Tensor | None = None,
        target_image: Tensor | None = None,
        mode: str = 'tensor',
    ) -> Any:
        """As of `MaskedImageModel`; a loss without a mask draws one."""
        if mode != 'loss' or mask is not None:
            return super().forward(image, mask, target_image, mode=mode)
        wanted = self.wanted(image if target_image is None else target_image)
        if wanted.importance is None:
            raise ValueError('MILAN: its target says no importance; set model.target.importance')
        return self.loss(image, importance_mask(wanted.importance, self.ratio), wanted)

    @classmethod
    def described(
        cls, content: Content, names: set[str], infer: Infer, options: dict[str, Any]
    ) -> dict[str, Any] | None:
        """Source of the names: zejiangh/MILAN, models_milan.py."""
        if 'decoder_blocks.0.attn.kv.weight' not in names:
            return None
        decoder = {**released_decoder(content, names, options), 'type': 'PromptingDecoder'}
        width = next(len(v) for k, v in content.tensors.items() if k.endswith('pred.weight'))
        absent = {'type': 'AbsentTarget', 'kind': 'features', 'width': width, 'whole': True}
        return {'type': 'MILAN', 'backbone': infer(), 'target': absent, 'decoder': decoder}
