"""Two-branch tracking: template and search crop go through one backbone each for itself.

    z = backbone(template), x = backbone(search) -> [x, correlation(z, x)] -> centre head -> box

For backbones whose windows and pooling have no place for the tokens of two images (MIMSwin,
MIMHiera).
Siamese as in arXiv 1606.09549, with the correlation of correlation.py; no published tracker.
head, loss, data, tracking: centre_tracker.py
"""

from typing import Any

import torch
from torch import Tensor

from downstream.registry import MODELS
from downstream.tracking.centre_tracker import CentreTracker
from downstream.tracking.correlation import correlation
from downstream.tracking.head import CenterHead


@MODELS.register_module()
class TwoBranchTracker(CentreTracker):
    """A tracker made of any backbone and a centre head.

    Args:
        backbone: config of a backbone that returns one map, best of stride 16 (MIMSwin and
            MIMHiera: out_indices=(2,)).
        head: arguments of CenterHead but its width.
        options: of CentreTracker.

    Raises:
        ValueError: several maps, or a crop is not a multiple of the map's stride.
    """

    def __init__(self, backbone: dict, head: dict | None = None, **options: Any) -> None:
        built = MODELS.build(backbone)
        if len(built.num_features) != 1:
            raise ValueError(
                f'TwoBranchTracker: the backbone returns {len(built.num_features)} maps; '
                'name one stage, as out_indices=(2,)'
            )
        (channels,) = built.num_features
        # A stage that halves the grid doubles the width; Hiera's last may do the latter alone.
        stride = min(built.stride, built.patch_size * channels // built.embed_dim)
        super().__init__(stride, **options)
        self.backbone = built
        self.head = CenterHead(channels + self.template_cells**2, **(head or {}))

    def embed_template(self, template: Tensor, boxes: Tensor) -> tuple[Tensor, ...]:
        """Its features (B, N, C)."""
        return (self._features(template).flatten(2).transpose(1, 2),)

    def look(self, template: tuple[Tensor, ...], search: Tensor) -> Tensor:
        """See CentreTracker."""
        found = self._features(search)
        alike = correlation(template[0], found.flatten(2).transpose(1, 2))
        return torch.cat([found, alike.unflatten(2, found.shape[2:])], dim=1)

    def _features(self, crop: Tensor) -> Tensor:
        """(B, 3, S, S) -> (B, C, S / stride, S / stride)."""
        (features,) = self.backbone(crop)
        return features
