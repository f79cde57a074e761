"""mmseg's segmentor on a frozen backbone."""

from mmseg.models.segmentors import EncoderDecoder

from downstream.frozen.backbone import OnFrozenBackbone
from downstream.registry import MODELS


@MODELS.register_module()
class FrozenSegmentor(OnFrozenBackbone, EncoderDecoder):
    """Test pictures are cut by `test_cfg` and never kept: each is seen once."""
