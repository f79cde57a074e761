"""Label maps over their picture, truth and prediction in the same colours."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from downstream.drawing import class_colours, enlarged, read_rgb, sheet

OPACITY = 0.65


def label_sheet(samples: Sequence[Any], classes: Sequence[str]) -> bytes:
    """PNG of mmseg data samples with `gt_sem_seg` and `pred_sem_seg`."""
    colours = class_colours(len(classes))
    images, truth, found, present = [], [], [], set()
    for sample in samples:
        image, _ = enlarged(read_rgb(sample.img_path))
        label = sample.gt_sem_seg.data.squeeze(0).cpu().numpy()
        prediction = sample.pred_sem_seg.data.squeeze(0).cpu().numpy()
        images.append(image)
        truth.append(draw_labels(image, label, colours))
        found.append(draw_labels(image, prediction, colours))
        present |= set(np.unique(label).tolist()) | set(np.unique(prediction).tolist())
    legend = [(classes[k], colours[k]) for k in sorted(present) if k < len(classes)]
    return sheet([('image', images), ('truth', truth), ('prediction', found)], legend)


def draw_labels(image: NDArray, label: NDArray, colours: NDArray) -> NDArray:
    """image (H, W, 3), label (h, w) of any size -> the image in its labels' colours.

    Pixels of no class (the ignored label) stay as they are.
    """
    label = cv2.resize(label.astype(np.int32), image.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    known = (label >= 0) & (label < len(colours))
    painted = colours[np.where(known, label, 0)]
    mixed = ((1 - OPACITY) * image + OPACITY * painted).astype(np.uint8)
    return np.where(known[..., None], mixed, image)
