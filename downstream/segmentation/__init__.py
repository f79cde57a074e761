"""UperNet on ADE20K-style label maps. Importing it registers what its recipes name."""

from downstream import cached_dataset as _dataset  # noqa: F401
from downstream.segmentation import metric as _metric  # noqa: F401
