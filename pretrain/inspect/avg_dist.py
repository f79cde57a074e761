"""AvgDist: how far a hidden pixel is from what can be seen (arXiv 2111.09886, section 4.1).

The one number under which SimMIM's masks of any unit and ratio fall on one curve: fine-tuning
accuracy is best between 10 and 20 pixels. It is read as the Euclidean distance between pixels.
"""

import numpy as np
from scipy.ndimage import distance_transform_edt


def avg_dist(masks: np.ndarray, patch_px: int) -> np.ndarray:
    """Mean distance of the hidden pixels to the nearest visible one, in pixels, for each mask.

    A hidden pixel beside a visible one has distance 1. A work's AvgDist is the mean of these
    over many masks.

    Args:
        masks: (..., H/p, W/p) bool, True = hidden.
        patch_px: side of a patch in pixels.

    Returns:
        (...) float64.

    Raises:
        ValueError: a mask that hides nothing, or everything.
    """
    *batch, rows, columns = masks.shape
    flat = masks.reshape(-1, rows, columns).astype(bool)
    if not flat.any((1, 2)).all() or flat.all((1, 2)).any():
        raise ValueError('AvgDist needs masks with both hidden and visible patches')
    distances = np.empty(len(flat))
    for index, mask in enumerate(flat):
        hidden = mask.repeat(patch_px, axis=0).repeat(patch_px, axis=1)
        distances[index] = distance_transform_edt(hidden)[hidden].mean()
    return distances.reshape(batch)
