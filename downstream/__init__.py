"""Dense-prediction tasks for any checkpoint: detection, segmentation, tracking, and the report."""

import mim_backbones  # noqa: F401  its import stand-ins come before torchvision and mmcv.ops
