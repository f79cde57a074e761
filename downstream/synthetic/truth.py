"""Ground truth of one frame of a sequence, in LaSOT's terms."""

from typing import NamedTuple

import cv2
import numpy as np

from downstream.synthetic.annotate import Box, tight_box
from downstream.synthetic.raster import compose, place
from downstream.synthetic.render import Rendering, silhouette
from downstream.synthetic.scene import Scene, Thing

# A target of which less than this share is left counts as gone.
GONE = 0.05


class FrameTruth(NamedTuple):
    """The box is around what is seen; all zero when one of the flags is set."""

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
