"""Sheets of pictures: truth above, prediction below, the classes' colours at the foot.

A sheet is at most WIDTH pixels wide, what does not fit beside goes below: a page shows it at half
its size on a phone, and its text must be read there too.
"""

import io
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

PAPER, INK, QUIET = (255, 255, 255), (30, 34, 42), (120, 126, 138)
GAP, MARGIN = 8, 14
WIDTH, TILE_HEIGHT = 800, 200
TEXT = 21  # pixels
CHIP = 22  # of colour, beside the name of a class
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


def note(tile: NDArray, text: str) -> NDArray:
    """The tile with a line on a plate in its upper left corner."""
    page = Image.fromarray(tile)
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(TEXT)
    draw.rectangle((0, 0, font.getlength(text) + GAP, TEXT + GAP), PAPER)
    draw.text((GAP // 2, GAP // 4), text, INK, font)
    return np.array(page)


def sheet(
    rows: Sequence[tuple[str, Sequence[NDArray]]], legend: Sequence[tuple[str, NDArray]]
) -> bytes:
    """A PNG with a titled row of tiles each, and a legend of (class name, colour).

    Tiles of one column have one size. Rows that are too wide go on below, all of them together.
    """
    font = ImageFont.load_default(TEXT)
    side = max(int(font.getlength(title)) for title, _ in rows) + 2 * MARGIN
    blocks = _blocks([tile.shape[1] for tile in rows[0][1]], WIDTH - side - MARGIN)
    widths = [sum(rows[0][1][i].shape[1] + GAP for i in block) - GAP for block in blocks]
    width = side + max(widths) + MARGIN
    lines = _legend_lines(legend, font, width - 2 * MARGIN)
    block_height = sum(tiles[0].shape[0] + GAP for _, tiles in rows) + GAP
    height = MARGIN + len(blocks) * block_height + len(lines) * (CHIP + GAP) + MARGIN
    page = Image.new('RGB', (width, height), PAPER)
    draw = ImageDraw.Draw(page)
    y = MARGIN
    for block in blocks:
        for title, tiles in rows:
            draw.text((MARGIN, y + (tiles[0].shape[0] - TEXT) // 2), title, INK, font)
            x = side
            for i in block:
                page.paste(Image.fromarray(tiles[i]), (x, y))
                x += tiles[i].shape[1] + GAP
            y += tiles[0].shape[0] + GAP
        y += GAP
    for line in lines:
        for x, name, colour in line:
            draw.rounded_rectangle((x, y, x + CHIP, y + CHIP), 4, fill=colour)
            draw.text((x + CHIP + 6, y - 2), name, INK if colour else QUIET, font)
        y += CHIP + GAP
    stream = io.BytesIO()
    page.save(stream, 'PNG', optimize=True)
    return stream.getvalue()


def _blocks(widths: Sequence[int], room: int) -> list[list[int]]:
    """Columns broken into lines that fit into `room`; one that never fits has its own."""
    blocks: list[list[int]] = [[]]
    used = 0
    for i, width in enumerate(widths):
        if blocks[-1] and used + width > room:
            blocks.append([])
            used = 0
        blocks[-1].append(i)
        used += width + GAP
    return blocks


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
