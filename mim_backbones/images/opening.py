"""Image files of whatever kind -> Pillow's RGB."""

from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

# Whatever the ending says; Pillow's reader of PostScript would start a program.
FORMATS = ('JPEG', 'PNG', 'WEBP', 'GIF', 'BMP', 'TIFF', 'PPM')
# What decoding raises for a damaged file: truncated data, broken chunks, absurd sizes.
BAD_IMAGE = (OSError, UnidentifiedImageError, SyntaxError, ValueError, Image.DecompressionBombError)


def open_image(path: str | Path | BinaryIO) -> Image.Image:
    """Open a file, or the bytes of one, and read its header only.

    Raises:
        OSError: missing, or no image (PIL's UnidentifiedImageError is one).
    """
    return Image.open(path, formats=FORMATS)


def to_rgb(image: Image.Image) -> Image.Image:
    """Any picture as 8-bit RGB; 16-bit grey keeps its shades (PIL's own conversion cuts at 255).

    Raises:
        ValueError: 32-bit values, of whose range the file says nothing.
    """
    if image.mode.startswith('I;16') or (image.mode == 'I' and image.format == 'PNG'):
        shades = np.asarray(image).astype(np.float32) * (255 / 65535)
        image = Image.fromarray(shades.round().astype(np.uint8))
    if image.mode in ('I', 'F'):
        raise ValueError(f'pixels of mode {image.mode}, whose range is not known')
    return image.convert('RGB')
