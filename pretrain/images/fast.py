"""The pixels of decode='fast': OpenCV's reader of JPEGs, torch's antialiased resize of bytes.

Where nothing is reduced the pixels are Pillow's but for some that lie a grey level beside, in half
the time; docs/decode.md has the figures.
"""

import cv2
import numpy as np
import torch
from PIL import Image
from torch.nn.functional import interpolate

AS_IT_LIES = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION  # no turning by EXIF, as Pillow
REDUCED = {
    1: AS_IT_LIES,
    # Of the flags that reduce, those for grey say no order of colours beside ours.
    2: AS_IT_LIES | cv2.IMREAD_REDUCED_GRAYSCALE_2,
    4: AS_IT_LIES | cv2.IMREAD_REDUCED_GRAYSCALE_4,
    8: AS_IT_LIES | cv2.IMREAD_REDUCED_GRAYSCALE_8,
}
END = b'\xff\xd9'  # of a whole JPEG
MODES = {'bilinear', 'bicubic'}  # torch has no Lanczos


def read_jpeg(image: Image.Image, shrink: float) -> np.ndarray | None:
    """An opened JPEG as (H, W, 3) uint8 RGB; None where only Pillow reads right or says why not.

    shrink: by how much the sides may become smaller; 1/2, 1/4 and 1/8 are there.
    """
    if image.format != 'JPEG' or image.mode not in ('RGB', 'L'):
        return None
    image.fp.seek(0)
    data = image.fp.read()
    if not data.rstrip(b'\0').endswith(END):
        return None  # cut off, which OpenCV fills up with grey
    reduce = max(n for n in REDUCED if n <= max(1, shrink))
    return cv2.imdecode(np.frombuffer(data, np.uint8), REDUCED[reduce])


def resize(rgb: np.ndarray, box: tuple[float, ...], out: int, interpolation: str) -> np.ndarray:
    """The box of (H, W, 3) uint8, its corners at the nearest pixels, as (out, out, 3)."""
    left, top, right, bottom = (round(edge) for edge in box)
    crop = torch.from_numpy(rgb[top:bottom, left:right]).permute(2, 0, 1)[None]
    found = interpolate(crop, (out, out), mode=interpolation, antialias=True)
    return found[0].permute(1, 2, 0).numpy()
