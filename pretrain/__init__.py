"""Masked-image pre-training: masks, targets, heads and one file per method."""

import mim_backbones  # noqa: F401  its import stand-ins come before torchvision and timm
