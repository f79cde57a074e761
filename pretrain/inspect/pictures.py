"""Pictures: masks drawn on one, tiles of reconstructions under their captions."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageOps

from mim_backbones.console.atomic_file import check_writable, write_atomically
from mim_backbones.errors import UserError
from mim_backbones.images.opening import BAD_IMAGE, open_image, to_rgb
from pretrain.inspect.masks import avg_dist
from pretrain.maskers.units import units_to_patches

GAP = 6
CAPTION = 18
GREY = 127  # in place of what is hidden
COLUMNS = 5  # of a sheet of masks
SMALLEST_TILE = 192
LARGEST = 100_000_000  # pixels of a picture
FORMATS: dict[str, dict[str, Any]] = {
    '.png': {'format': 'PNG'},
    '.jpg': {'format': 'JPEG', 'quality': 95, 'subsampling': 0},
    '.jpeg': {'format': 'JPEG', 'quality': 95, 'subsampling': 0},
}


def check_picture(path: Path) -> None:
    """Asks, before any work is done, whether a picture can be written there.

    Raises:
        UserError: it cannot, or the name ends in no format that is known.
    """
    if path.suffix.lower() not in FORMATS:
        raise UserError(f'{path}: call the picture *{" or *".join(FORMATS)}')
    check_writable(path.absolute().parent)


def write_picture(path: Path, picture: Image.Image) -> None:
    """In the format of its ending. Raises UserError when it cannot be written."""
    options = FORMATS[path.suffix.lower()]
    write_atomically(path, lambda stream: picture.save(stream, **options))


def check_size(tiles: int, size: tuple[int, int], scale: int) -> None:
    """Raises UserError for a picture that no viewer would open."""
    pixels = tiles * size[0] * size[1] * scale**2
    if pixels > LARGEST:
        raise UserError(
            f'{tiles} tiles of {size[1] * scale} x {size[0] * scale} pixels make a picture of '
            f'{pixels / 1e6:,.0f} million, at most {LARGEST / 1e6:.0f}; take fewer or smaller ones'
        )


def tiled(
    tiles: Sequence[np.ndarray], captions: Sequence[str], columns: int, scale: int
) -> Image.Image:
    """Tiles (H, W, 3) uint8 in rows, each pixel `scale` wide; captions over the first of them."""
    height, width = (side * scale for side in tiles[0].shape[:2])
    rows, captioned = (-(-len(things) // columns) for things in (tiles, captions))
    size = (columns * (width + GAP) + GAP, rows * (height + GAP) + captioned * CAPTION + GAP)
    canvas = Image.new('RGB', size, 'white')
    draw = ImageDraw.Draw(canvas)
    for index, tile in enumerate(tiles):
        row, column = divmod(index, columns)
        left = GAP + column * (width + GAP)
        top = GAP + row * (height + GAP) + min(row + 1, captioned) * CAPTION
        canvas.paste(Image.fromarray(tile).resize((width, height), Image.Resampling.NEAREST),
                     (left, top))  # fmt: skip
        if index < len(captions):
            draw.text((left, top - CAPTION), captions[index], fill='black')
    return canvas


def read_picture(path: str | Path, size: tuple[int, int]) -> np.ndarray:
    """The centre of an image file in the shape of `size` = (height, width): (H, W, 3) uint8.

    Raises:
        UserError: the file is no readable image.
    """
    try:
        with open_image(path) as image:
            fitted = ImageOps.fit(to_rgb(image), size[::-1], Image.Resampling.BILINEAR)
    except BAD_IMAGE as error:
        raise UserError(f'image {path} cannot be decoded: {error}') from error
    return np.asarray(fitted)


def plain_scene(size: tuple[int, int]) -> np.ndarray:
    """A picture with a slow gradient, an edge, fine stripes and a disc: (H, W, 3) uint8."""
    y, x = np.mgrid[: size[0], : size[1]] / np.array(size)[:, None, None]
    picture = np.stack([0.35 + 0.5 * y, 0.55 + 0.3 * x, 0.95 - 0.5 * y], axis=-1)
    ground = y > 0.62 + 0.08 * np.sin(7 * x)
    stripes = 0.5 + 0.5 * np.sign(np.sin(60 * x + 25 * y))
    picture[ground] = np.stack([0.2 + 0.15 * stripes, 0.45 + 0.2 * stripes, 0.2 * y], -1)[ground]
    picture[(x - 0.66) ** 2 + (y - 0.33) ** 2 < 0.03] = (0.95, 0.75, 0.2)
    return (255 * picture.clip(0, 1)).round().astype(np.uint8)


def masked(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """picture (H, W, 3) uint8 with the hidden patches of mask (H/p, W/p) grey."""
    hidden = units_to_patches(mask, picture.shape[0] // mask.shape[0])
    return np.where(hidden[..., None], np.uint8(GREY), picture)


def caption(mask: np.ndarray, patch_px: int) -> str:
    """Ratio and, where it is defined, mean distance to the visible."""
    ratio = f'{mask.mean():.1%} hidden'
    return ratio if mask.all() or not mask.any() else f'{ratio}, {avg_dist(mask, patch_px):.1f} px'


def example_sheet(picture: np.ndarray, masks: np.ndarray, frequency: np.ndarray) -> Image.Image:
    """The picture, its masked versions, and the frequency of each patch from black to white.

    Args:
        picture: (H, W, 3) uint8.
        masks: (n, H/p, W/p) bool.
        frequency: (H/p, W/p), share of masks that hide a patch.
    """
    height, width = picture.shape[:2]
    shades = units_to_patches(frequency, height // frequency.shape[0])
    grey = np.repeat((255 * shades).round().astype(np.uint8)[..., None], 3, axis=-1)
    tiles = [picture, *(masked(picture, mask) for mask in masks), grey]
    patch = height // masks.shape[1]
    titles = ['original', *(caption(mask, patch) for mask in masks), 'how often hidden']
    scale = max(1, -(-SMALLEST_TILE // width))
    return tiled(tiles, titles, min(COLUMNS, len(tiles)), scale)
