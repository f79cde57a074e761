"""Sheets of pictures: truth above, prediction below, the classes' colours at the foot."""

import io
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

PAPER, INK, QUIET = (255, 255, 255), (30, 34, 42), (120, 126, 138)
GAP, MARGIN, CHIP = 8, 14, 16
TILE_HEIGHT = 200
LEGEND_ENTRIES = 16
# Okabe and Ito's colours (distinct for colour-blind readers too), red first for contrast on photos.
FIRST_COLOURS = (
    (213, 94, 0), (0, 114, 178), (0, 158, 115), (240, 228, 66),
    (204, 121, 167), (86, 180, 233), (230, 159, 0),
)  # fmt: skip
GOLDEN_ANGLE = 0.618034  # steps around the colour circle that never come close to one another


def class_colours(count: int) -> NDArray:
    """(count, 3) uint8 RGB, the same for the same class number everywhere."""
    colours = list(FIRST_COLOURS[:count])
    for i in range(len(colours), count):
        hue = int(180 * (i * GOLDEN_ANGLE % 1))
        value = (255, 190, 225)[i % 3]
        pixel = np.array([[[hue, 170, value]]], np.uint8)
        colours.append(tuple(cv2.cvtColor(pixel, cv2.COLOR_HSV2RGB)[0, 0].tolist()))
    return np.array(colours, np.uint8).reshape(-1, 3)


def read_rgb(path: str) -> NDArray:
    """(H, W, 3) uint8, decoded as mmcv decodes it (rotated as its EXIF data say)."""
    image = cv2.imread(path, cv2.IMREAD_COLOR)
    assert image is not None, f'{path} was read a moment ago'
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def tint(image: NDArray, mask: NDArray, colour: NDArray, strength: float = 0.5) -> NDArray:
    """The image with `colour` laid over the pixels of `mask` (H, W) bool."""
    out = image.copy()
    out[mask] = ((1 - strength) * image[mask] + strength * colour).astype(np.uint8)
    return out


def enlarged(image: NDArray, height: int = TILE_HEIGHT) -> tuple[NDArray, float]:
    """The image at the sheet's height, and the factor."""
    factor = height / image.shape[0]
    size = (max(1, round(image.shape[1] * factor)), height)
    return cv2.resize(
        image, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    ), factor


def sheet(
    rows: Sequence[tuple[str, Sequence[NDArray]]], legend: Sequence[tuple[str, NDArray]]
) -> bytes:
    """A PNG with a titled row of tiles each, and a legend of (class name, colour).

    Tiles of one column have one size.
    """
    titles = [title for title, _ in rows]
    font = ImageFont.load_default(15)
    side = max(int(font.getlength(title)) for title in titles) + 2 * MARGIN
    columns = [tile.shape[1] for tile in rows[0][1]]
    width = side + sum(columns) + GAP * (len(columns) - 1) + MARGIN
    lines = _legend_lines(legend, font, width - 2 * MARGIN)
    height = MARGIN + sum(tiles[0].shape[0] + GAP for _, tiles in rows)
    page = Image.new('RGB', (width, height + len(lines) * (CHIP + GAP) + MARGIN), PAPER)
    draw = ImageDraw.Draw(page)
    y = MARGIN
    for title, tiles in rows:
        draw.text((MARGIN, y + tiles[0].shape[0] // 2 - 8), title, INK, font)
        x = side
        for tile in tiles:
            page.paste(Image.fromarray(tile), (x, y))
            x += tile.shape[1] + GAP
        y += tiles[0].shape[0] + GAP
    for line in lines:
        for x, name, colour in line:
            draw.rounded_rectangle((x, y, x + CHIP, y + CHIP), 4, fill=colour)
            draw.text((x + CHIP + 6, y - 1), name, INK if colour else QUIET, font)
        y += CHIP + GAP
    stream = io.BytesIO()
    page.save(stream, 'PNG', optimize=True)
    return stream.getvalue()


Entry = tuple[int, str, tuple[int, ...] | None]


def _legend_lines(
    legend: Sequence[tuple[str, NDArray]],
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    width: int,
) -> list[list[Entry]]:
    """Legend entries with their x, broken into lines of at most `width`."""
    entries: list[tuple[str, tuple[int, ...] | None]] = [
        (name, tuple(colour.tolist())) for name, colour in legend[:LEGEND_ENTRIES]
    ]
    if len(legend) > LEGEND_ENTRIES:
        entries.append((f'and {len(legend) - LEGEND_ENTRIES} more', None))
    lines: list[list[Entry]] = [[]]
    x = MARGIN
    for name, colour in entries:
        room = CHIP + 6 + int(font.getlength(name)) + 2 * GAP
        if x + room > width and lines[-1]:
            lines.append([])
            x = MARGIN
        lines[-1].append((x, name, colour))
        x += room
    return lines
