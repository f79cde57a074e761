"""mmdet's Mask R-CNN on a frozen backbone."""

from mmdet.models.detectors import MaskRCNN

from downstream.frozen.backbone import OnFrozenBackbone
from downstream.registry import MODELS


@MODELS.register_module()
class FrozenMaskRCNN(OnFrozenBackbone, MaskRCNN):
    """Pyramid, RPN, box and mask heads are trained."""
