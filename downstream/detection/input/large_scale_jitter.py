"""The training transform of ViTDet: file -> jittered, cropped picture and what is left of objects.

It stands for mmdet's LoadImageFromFile, LoadAnnotations, RandomFlip, RandomResize, RandomCrop and
FilterAnnotations, with the published behaviour where theirs differs (docs/deviations.md).
"""

from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks

from downstream.detection.input.decode import check_decode, read_picture
from downstream.detection.input.geometry import Draws, Jitter, Size, plan
from downstream.detection.input.outlines import Objects, jitter_boxes, jitter_objects
from downstream.detection.input.polygon_masks import ClippedPolygons
from downstream.detection.input.resample import resize_part
from downstream.registry import TRANSFORMS
from mim_backbones.errors import UserError

PAD_VALUE = 128


@TRANSFORMS.register_module()
class LargeScaleJitter(BaseTransform):
    """Flip, resize to a random scale of `size`, crop to it.

    Crowd regions are left out; a picture may end without objects and is trained on as it is.

    Args:
        size: (height, width) of the crop in pixels.
        ratio_range: ends of the scale's uniform distribution.
        flip: probability of being mirrored.
        pad: whether a smaller picture is filled up to `size` with grey; else the model pads.
        with_mask: whether masks are wanted; without them boxes are not those of the outlines.
        decode: 'exact', or 'fast' for large JPEGs at small sizes, see docs/decode.md.

    Raises:
        ValueError: a range, probability or decoding that cannot be.
    """

    def __init__(
        self,
        size: Size = (1024, 1024),
        ratio_range: tuple[float, float] = (0.1, 2.0),
        flip: float = 0.5,
        pad: bool = False,
        with_mask: bool = True,
        decode: str = 'exact',
    ) -> None:
        if not 0 < ratio_range[0] <= ratio_range[1]:
            raise ValueError(f'LargeScaleJitter: ratio_range={ratio_range} is no range above 0')
        if not 0 <= flip <= 1:
            raise ValueError(f'LargeScaleJitter: flip={flip} is no probability')
        if len(size) != 2 or min(size) < 1:
            raise ValueError(f'LargeScaleJitter: size={size} is no (height, width) in pixels')
        self.size = (int(size[0]), int(size[1]))
        self.ratio_range = tuple(ratio_range)
        self.flip = flip
        self.pad = pad
        self.with_mask = with_mask
        self.decode = check_decode(decode)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """A sample of mmdet's CocoDataset, with the numbers drawn from NumPy's global generator."""
        draws = Draws(  # in the release's order; the crop's is drawn even if nothing is cut
            flip=np.random.random(),  # noqa: NPY002
            scale=np.random.uniform(*self.ratio_range),  # noqa: NPY002
            crop=np.random.random(),  # noqa: NPY002
        )
        return self.apply(results, draws)

    def apply(self, results: dict[str, Any], draws: Draws) -> dict[str, Any]:
        """A sample, with the numbers given.

        Raises:
            UserError: the picture cannot be read or is of another size than its annotations say,
                or a mask cannot be read.
        """
        path, source = results['img_path'], (results['height'], results['width'])
        jitter = plan(source, draws, self.size, self.flip, self.pad)
        image = read_picture(path, source, jitter.resized, self.decode)
        objects = [one for one in results.get('instances', ()) if not one.get('ignore_flag')]
        try:
            found = self._objects(objects, jitter)
        except ValueError as error:
            raise UserError(f'a mask of {path} cannot be used: {error}') from error
        results['img'] = jitter_image(image, jitter)
        results['img_shape'] = jitter.shape
        results['ori_shape'] = source
        results['scale_factor'] = jitter.factors
        results['keep_ratio'] = True
        results['flip'] = jitter.flipped
        results['flip_direction'] = 'horizontal' if jitter.flipped else None
        labels = np.array([one['bbox_label'] for one in objects], np.int64)
        results['gt_bboxes'] = HorizontalBoxes(found.boxes, dtype=None, clone=False)
        results['gt_bboxes_labels'] = labels[found.kept]
        results['gt_ignore_flags'] = np.zeros(len(found.kept), bool)
        if self.with_mask:
            results['gt_masks'] = masks_of(found, jitter.shape)
        return results

    def _objects(self, objects: list[dict[str, Any]], jitter: Jitter) -> Objects:
        if self.with_mask:
            return jitter_objects([one['mask'] for one in objects], jitter)
        return jitter_boxes(np.array([one['bbox'] for one in objects]).reshape(-1, 4), jitter)

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(size={self.size}, ratio_range={self.ratio_range}, '
            f'flip={self.flip}, pad={self.pad}, decode={self.decode!r})'
        )


def jitter_image(image: np.ndarray, jitter: Jitter) -> np.ndarray:
    """(h, w, 3) uint8, perhaps decoded smaller than `jitter.source` -> (*jitter.shape, 3)."""
    image = cv2.flip(image, 1) if jitter.flipped else image
    cut = resize_part(image, jitter.resized, jitter.offset, jitter.kept)
    if jitter.shape == jitter.kept:
        return cut
    padded = np.full((*jitter.shape, 3), PAD_VALUE, np.uint8)
    padded[: jitter.kept[0], : jitter.kept[1]] = cut
    return padded


def masks_of(objects: Objects, shape: Size) -> ClippedPolygons | BitmapMasks:
    """As mmdet's heads take them."""
    if objects.filled is not None:
        return BitmapMasks(objects.filled, *shape)
    return ClippedPolygons(objects.outlines, *shape)
