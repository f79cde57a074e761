"""A linear classifier of patches on frozen maps.

    maps -> resized to the first one's grid, concatenated -> (BatchNorm) -> 1x1 convolution

The classes' scores are then enlarged to the picture. After the linear protocol of DINOv2
(arXiv 2304.07193, section 7.4), whose numbers move by several mIoU with each of these choices.
"""

from collections.abc import Sequence

from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from torch import Tensor, nn

from downstream.registry import MODELS


@MODELS.register_module()
class LinearProbe(BaseDecodeHead):
    """See the module.

    Args:
        in_channels: of each map of the backbone.
        norm: 'batch' or 'none'.
        num_classes, ignore_index, dropout_ratio, loss_decode: as of any head of mmseg.

    Raises:
        ValueError: no such norm.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        num_classes: int,
        norm: str = 'batch',
        ignore_index: int = 255,
        dropout_ratio: float = 0.1,
        loss_decode: dict | None = None,
    ) -> None:
        if norm not in ('batch', 'none'):
            raise ValueError(f'LinearProbe: norm={norm!r}; known: batch, none')
        super().__init__(
            in_channels=list(in_channels),
            channels=sum(in_channels),
            num_classes=num_classes,
            out_channels=num_classes,
            in_index=list(range(len(in_channels))),
            input_transform='resize_concat',
            dropout_ratio=dropout_ratio,
            ignore_index=ignore_index,
            loss_decode=loss_decode or {'type': 'CrossEntropyLoss', 'avg_non_ignore': True},
        )
        self.norm = nn.BatchNorm2d(self.in_channels) if norm == 'batch' else nn.Identity()

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Maps (B, C_i, h_i, w_i) -> (B, classes, h_0, w_0)."""
        return self.cls_seg(self.norm(self._transform_inputs(inputs)))
