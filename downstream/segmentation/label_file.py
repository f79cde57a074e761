"""Label maps as pipelines load them: every value is a class or ignored, or the file is named.

On a GPU a label beyond the classes ends in an assertion that names nothing; before it starts,
`mimbench eval` looks into a few label maps only. Here all are looked at, in training and in tests.
"""

from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from numpy.typing import NDArray

from downstream.registry import TRANSFORMS
from downstream.segmentation.data import IGNORED, read_label, strange_label

LARGEST = 65535  # of what a PNG holds


@TRANSFORMS.register_module()
class LoadLabels(BaseTransform):
    """mmseg's LoadAnnotations, which wraps values of 16 bits and looks at none.

    Reads `seg_map_path`, `reduce_zero_label` and `label_map` (None, or classes as stored -> as
    trained); adds `gt_seg_map` (H, W), uint8 up to 255 classes.

    Args:
        num_classes: labels are 0 .. num_classes - 1, after `reduce_zero_label` and `label_map`.
        ignore_index: the label left out of loss and score.

    Raises:
        UserError: the file is no label map, or holds another value.
    """

    def __init__(self, num_classes: int, ignore_index: int = IGNORED) -> None:
        self.num_classes, self.ignore_index = num_classes, ignore_index
        self.known = np.zeros(LARGEST + 1, bool)
        self.known[[*range(num_classes), ignore_index]] = True

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        path = results['seg_map_path']
        stored = read_label(path)
        label = self._as_trained(stored, results)
        if not self.known[label].all():
            strange = np.unique(stored[~self.known[label]]).tolist()
            raise strange_label(path, strange, self.num_classes)
        kind = np.uint8 if max(self.num_classes - 1, self.ignore_index) <= 255 else np.int32
        results['gt_seg_map'] = label.astype(kind, copy=False)
        results.setdefault('seg_fields', []).append('gt_seg_map')
        return results

    def _as_trained(self, stored: NDArray, results: dict[str, Any]) -> NDArray:
        if not results.get('reduce_zero_label') and results.get('label_map') is None:
            return stored
        lookup = np.arange(LARGEST + 1)
        if results.get('reduce_zero_label'):
            lookup -= 1
            lookup[[0, IGNORED]] = IGNORED
        for old, new in (results.get('label_map') or {}).items():
            lookup[lookup == old] = -1 - new  # not to be mapped once more
        return np.where(lookup < 0, -1 - lookup, lookup)[stored]

    def __repr__(self) -> str:
        return f'LoadLabels(num_classes={self.num_classes}, ignore_index={self.ignore_index})'
