"""Write pictures. Unlike cv2.imwrite, a full disk or a missing folder raises OSError."""

from pathlib import Path

import cv2
import numpy as np

JPEG_QUALITY = 92


def write_jpeg(path: Path, image: np.ndarray) -> None:
    """image: uint8 RGB (H, W, 3)."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode('.jpg', bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    path.write_bytes(data.tobytes())


def write_png(path: Path, labels: np.ndarray) -> None:
    """labels: uint8 (H, W), written as they are."""
    _, data = cv2.imencode('.png', labels)
    path.write_bytes(data.tobytes())
