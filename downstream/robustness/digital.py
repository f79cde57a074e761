"""What processing does: image (H, W, 3) uint8 RGB, severity 1..5, generator -> the same size."""

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image


def contrast(image: NDArray, severity: int, rng: np.random.Generator) -> NDArray:
    """Towards each colour's mean over the picture."""
    kept = (0.4, 0.3, 0.2, 0.1, 0.05)[severity - 1]
    mean = image.reshape(-1, 3).mean(0)
    table = (np.arange(256)[:, None] - mean) * kept + mean  # (256, 3)
    return cv2.LUT(image, np.clip(table, 0, 255).astype(np.uint8)[None])


def elastic_transform(image: NDArray, severity: int, rng: np.random.Generator) -> NDArray:
    """Pixels move by smooth random offsets, in proportion to the picture.

    This is the form for pictures of any size (`imagecorruptions`); ImageNet-C's own adds an affine
    map and counts in pixels of 224 x 224.
    """
    strength = (12.5, 16.25, 21.25, 25.0, 30.0)[severity - 1]
    height, width = image.shape[:2]
    sigma = (0.01 * width, 0.01 * height)
    taps = [2 * int(3 * each + 0.5) + 1 for each in sigma]
    largest = 0.005 * height  # of both axes, as published
    columns, rows = (
        cv2.GaussianBlur(
            rng.uniform(-largest, largest, (height, width)).astype(np.float32) * strength,
            taps, sigmaX=sigma[0], sigmaY=sigma[1], borderType=cv2.BORDER_REFLECT,
        )
        for _ in range(2)
    )  # fmt: skip
    columns += np.arange(width, dtype=np.float32)
    rows += np.arange(height, dtype=np.float32)[:, None]
    return cv2.remap(image, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)


def pixelate(image: NDArray, severity: int, rng: np.random.Generator) -> NDArray:
    """Fewer, larger pixels."""
    share = (0.6, 0.5, 0.4, 0.3, 0.25)[severity - 1]
    height, width = image.shape[:2]
    coarse = (max(1, int(width * share)), max(1, int(height * share)))
    small = Image.fromarray(image).resize(coarse, Image.Resampling.BOX)
    return np.array(small.resize((width, height), Image.Resampling.NEAREST))


def jpeg_compression(image: NDArray, severity: int, rng: np.random.Generator) -> NDArray:
    """JPEG of low quality."""
    quality = (25, 18, 15, 10, 7)[severity - 1]
    coded = cv2.imencode('.jpg', image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.imdecode(coded, cv2.IMREAD_COLOR)[..., ::-1]
