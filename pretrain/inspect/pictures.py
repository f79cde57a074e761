"""Tiles with a caption over each column, as one picture."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

GAP = 6
CAPTION = 18
TILE = 120  # pixels that a caption needs


def captioned_grid(
    pictures: np.ndarray, captions: Sequence[str], scale: int | None = None
) -> Image.Image:
    """pictures (rows, columns, 3, H, W) uint8 -> one image; each pixel `scale` pixels wide.

    scale: None enlarges small pictures until a caption fits above them.
    """
    rows, columns, _, height, width = pictures.shape
    scale = scale or -(-TILE // width)
    height, width = height * scale, width * scale
    canvas = Image.new(
        'RGB',
        (columns * (width + GAP) + GAP, rows * (height + GAP) + GAP + CAPTION),
        'white',
    )
    draw = ImageDraw.Draw(canvas)
    for column, caption in zip(range(columns), captions, strict=True):
        draw.text((GAP + column * (width + GAP), GAP), caption, fill='black')
        for row in range(rows):
            tile = Image.fromarray(pictures[row, column].transpose(1, 2, 0))
            place = (GAP + column * (width + GAP), CAPTION + GAP + row * (height + GAP))
            canvas.paste(tile.resize((width, height), Image.Resampling.NEAREST), place)
    return canvas
