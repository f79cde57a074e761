"""A picture file as pixels, at full size or smaller; `docs/decode.md` has what either costs."""

import cv2
import numpy as np
from mmengine import fileio

from downstream.detection.input.geometry import Size
from mim_backbones.errors import UserError

DECODES = ('exact', 'fast')
KEPT = 2  # pixels a side for each of the result's that 'fast' leaves to the resize
REDUCED = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}
JPEG = b'\xff\xd8'


def check_decode(name: str) -> str:
    """Raises ValueError when there is no such decoding."""
    if name not in DECODES:
        raise ValueError(f'decode={name!r}; known: {", ".join(DECODES)}')
    return name


def read_picture(path: str, size: Size, resized: Size, decode: str = 'exact') -> np.ndarray:
    """A file as (h, w, 3) uint8 BGR, turned as its EXIF tag says, as mmcv reads it.

    Args:
        path: of any kind that mmengine reads.
        size: of the picture by its annotation file.
        resized: what it is going to be resized to.
        decode: 'exact': all pixels; 'fast': a JPEG at 1/2, 1/4 or 1/8 by its DCT, as long as
            twice as many pixels as `resized` are left each way.

    Raises:
        UserError: no such file, no picture, or of another size than `size`.
    """
    try:
        data = fileio.get(path)
    except OSError as error:
        raise UserError(f'picture {path} cannot be read ({error.strerror or error})') from error
    shrink = min(had / has for had, has in zip(size, resized, strict=True)) / KEPT
    fast = decode == 'fast' and data.startswith(JPEG)
    reduce = max(n for n in REDUCED if n == 1 or (fast and n <= shrink))
    image = cv2.imdecode(np.frombuffer(data, np.uint8), REDUCED[reduce]) if data else None
    if image is None:
        raise UserError(f'picture {path} cannot be decoded; replace it, or take it out of the JSON')
    if image.shape[:2] != tuple(-(-side // reduce) for side in size):
        height, width = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape[:2]
        raise UserError(
            f'picture {path} is {width} x {height}, but its annotation file says {size[1]} x '
            f'{size[0]}; correct width and height there'
            + (' (EXIF orientation is applied)' if (width, height) == size else '')
        )
    return image
