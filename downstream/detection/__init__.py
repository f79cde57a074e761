"""Mask R-CNN on COCO-style data. Importing it registers what its recipes name."""

from downstream import cached_dataset as _dataset  # noqa: F401
from downstream.detection import metric as _metric  # noqa: F401
