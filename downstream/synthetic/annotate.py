"""What a rendered scene is labelled with: COCO annotations, labels per pixel, a target's box."""

from typing import NamedTuple

import cv2
import numpy as np
from pycocotools import mask as coco_mask

from downstream.synthetic.classes import stuff_label
from downstream.synthetic.raster import compose, place
from downstream.synthetic.render import Rendering, silhouette
from downstream.synthetic.scene import Scene, Thing

# A target of which less than this share is left counts as gone.
GONE = 0.05


class Box(NamedTuple):
    """Left, top, width, height in pixels; left and top are pixel corners, 0-based."""

    x: int
    y: int
    width: int
    height: int


def tight_box(mask: np.ndarray) -> Box:
    """bool (H, W), not empty -> the smallest box around it."""
    return Box(*cv2.boundingRect(mask.astype(np.uint8)))


def encode_region(mask: np.ndarray) -> list[list[float]] | dict:
    """bool (H, W), not empty -> COCO `segmentation`.

    A region in one piece without holes becomes one polygon along its pixels' edges, which
    pycocotools decodes to exactly the same pixels; any other becomes a compressed RLE.
    """
    box = tight_box(mask)
    part = mask[box.y : box.y + box.height, box.x : box.x + box.width].astype(np.uint8)
    # OpenCV's contours run through pixel middles. On the doubled picture a left or upper edge
    # has an even coordinate and a right or lower one an odd one, so that halving, rounded up,
    # gives the pixels' corners.
    doubled = part.repeat(2, axis=0).repeat(2, axis=1)
    contours, _ = cv2.findContours(doubled, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    if len(contours) == 1:
        corners = (contours[0][:, 0] + 1) // 2 + [box.x, box.y]
        return [corners.ravel().astype(float).tolist()]
    rle = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {'size': [int(side) for side in rle['size']], 'counts': rle['counts'].decode('ascii')}


def coco_annotations(scene: Scene, rendering: Rendering, min_pixels: int = 16) -> list[dict]:
    """One annotation per labelled thing of which at least `min_pixels` pixels are seen.

    `bbox`, `area` and `segmentation` describe the visible part. No ids: they belong to the set.
    """
    seen = np.bincount(rendering.instances.ravel(), minlength=len(scene.things) + 1)
    annotations = []
    for number, thing in enumerate(scene.things, start=1):
        if not thing.label or seen[number] < min_pixels:
            continue
        mask = rendering.instances == number
        annotations.append(
            {
                'category_id': thing.label,
                'bbox': [float(side) for side in tight_box(mask)],
                'area': int(seen[number]),
                'iscrowd': 0,
                'segmentation': encode_region(mask),
            }
        )
    return annotations


def label_map(scene: Scene, rendering: Rendering) -> np.ndarray:
    """uint8 (H, W): 1..8 objects, then the kinds of ground; 0, unlabelled, where clutter is."""
    grounds = np.array([stuff_label(g.texture.family) for g in scene.grounds], np.uint8)
    things = np.array([0] + [thing.label for thing in scene.things], np.uint8)
    numbers = rendering.instances
    return np.where(numbers > 0, things[numbers], grounds[rendering.grounds])


class FrameTruth(NamedTuple):
    """One frame of a sequence in LaSOT's terms.

    The box is around what is seen; all zero when one of the flags is set.
    """

    box: Box
    full_occlusion: bool
    out_of_view: bool


def frame_truth(scene: Scene, target: int, rendering: Rendering) -> FrameTruth:
    """target: index into scene.things."""
    thing = scene.things[target]
    height, width = rendering.instances.shape
    to_picture = scene.to_picture(height)
    in_view = int(silhouette(thing, to_picture, (width, height)).sum())
    seen = rendering.instances == target + 1
    out = in_view < GONE * _area(thing, to_picture)
    hidden = not out and int(seen.sum()) < GONE * in_view
    if out or hidden:
        return FrameTruth(Box(0, 0, 0, 0), hidden, out)
    return FrameTruth(tight_box(seen), False, False)


def _area(thing: Thing, to_picture: np.ndarray) -> float:
    """Pixels the whole target would cover on a picture without edges."""
    transform = compose(to_picture, thing.to_world())
    outer, *holes = (
        cv2.contourArea(place(contour, transform).astype(np.float32)) for contour in thing.contours
    )
    return outer - sum(holes)
