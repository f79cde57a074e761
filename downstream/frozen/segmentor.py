"""The project's segmentor on a frozen backbone."""

from downstream.frozen.backbone import OnFrozenBackbone
from downstream.registry import MODELS
from downstream.segmentation.segmentor import WindowSegmentor


@MODELS.register_module()
class FrozenSegmentor(OnFrozenBackbone, WindowSegmentor):
    """Test pictures are cut by `test_cfg` and never kept: each is seen once."""
