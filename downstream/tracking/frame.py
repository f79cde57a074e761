"""One frame of a sequence: an image file -> RGB."""

from pathlib import Path

import numpy as np

from mim_backbones.errors import UserError


def read_frame(path: Path) -> np.ndarray:
    """(H, W, 3) uint8 RGB. UserError when the file is missing or no image."""
    import cv2  # tasks are listed without

    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise UserError(f'{path}: missing or no readable image; restore the file')
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
