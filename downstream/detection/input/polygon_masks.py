"""Instance masks as clipped polygons: a head's targets are filled straight at its 28 x 28.

Bitmaps of a 1024 px crop take a megabyte each on the way from the worker, and mmdet turns those of
all positive regions into floats of that size; polygons take a kilobyte, and nothing is rounded to
the crop's pixels in between. The targets are those of detectron2: mmdet's polygons differ for
regions less than a pixel wide.
"""

from typing import Any

import numpy as np
import torch
from mmdet.structures.mask import BitmapMasks, PolygonMasks
from pycocotools import mask as coco_mask

SLIMMEST = 0.1  # pixels that a region is taken to be wide at least, as detectron2 has it


class ClippedPolygons(PolygonMasks):
    """mmdet's masks as polygons, with published targets."""

    def __getitem__(self, index: Any) -> 'ClippedPolygons':
        return ClippedPolygons(super().__getitem__(index).masks, self.height, self.width)

    def pad(self, out_shape: tuple[int, int], pad_val: int = 0) -> 'ClippedPolygons':
        return ClippedPolygons(self.masks, *out_shape)

    def crop_and_resize(
        self,
        bboxes: np.ndarray,
        out_shape: tuple[int, int],
        inds: np.ndarray,
        device: str | torch.device = 'cpu',
        interpolation: str = 'bilinear',
        binarize: bool = True,
    ) -> BitmapMasks:
        """Targets of a mask head.

        Args:
            bboxes: (K, 4) float32 xyxy, regions.
            out_shape: (h, w) of a target.
            inds: (K,) the object that each region is of.
            binarize: must be True.

        Raises:
            ValueError: soft targets are asked for; polygons have none.
        """
        if not binarize:
            raise ValueError('soft mask targets need bitmaps; leave soft_mask_target out')
        filled = [
            target(self.masks[int(i)], np.asarray(box, np.float32), out_shape)
            for i, box in zip(inds, bboxes, strict=True)
        ]
        if not filled:
            return BitmapMasks(np.zeros((0, *out_shape), np.uint8), *out_shape)
        rasters = coco_mask.decode(filled).transpose(2, 0, 1)
        return BitmapMasks(np.ascontiguousarray(rasters), *out_shape)


def target(polygons: list[np.ndarray], box: np.ndarray, size: tuple[int, int]) -> dict[str, Any]:
    """The polygons of an object within a box (float32 xyxy), at `size`, as a run-length mask."""
    # In single precision, as published: the last bit of a factor decides on which side a point is.
    factors = np.float32(size[::-1]) / np.maximum(box[2:] - box[:2], np.float32(SLIMMEST))
    moved = [((p.reshape(-1, 2) - box[:2]) * factors).reshape(-1) for p in polygons]
    return coco_mask.merge(coco_mask.frPyObjects(moved, *size))
