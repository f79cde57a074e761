"""Image files -> square uint8 crops.

`decode` says how much of a file is read for a crop, docs/decode.md what that costs and spares:

    exact   every pixel, then one antialiased resize: what the published code sees, bit by bit
    fast    a JPEG at 1/2, 1/4 or 1/8 by its DCT, as long as the crop keeps twice the target's
            pixels each way, so that the antialiased resize decides; readers of fast.py
"""

from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageEnhance

from mim_backbones.errors import UserError
from mim_backbones.images.opening import BAD_IMAGE, open_image, to_rgb
from pretrain.images import fast

SUFFIXES = {'.jpg', '.jpeg', '.png'}

INTERPOLATIONS = {
    'bilinear': Image.Resampling.BILINEAR,
    'bicubic': Image.Resampling.BICUBIC,
    'lanczos': Image.Resampling.LANCZOS,
}
DECODES = ('exact', 'fast')
KEPT = 2  # pixels a side for each of the target's that 'fast' leaves to the resize
PROPERTIES = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
Box = tuple[float, float, float, float]  # left, top, right, bottom in pixels of the full image
Picture = Image.Image | np.ndarray  # Pillow's RGB, or (H, W, 3) uint8 where 'fast' read it


def sample_crop(
    size: tuple[int, int],
    scale: tuple[float, float],
    ratio: tuple[float, float],
    rng: np.random.Generator,
) -> Box:
    """Random area and aspect ratio, as the field's RandomResizedCrop.

    Args:
        size: (height, width) of the image.
        scale: range of the crop's share of the image's area.
        ratio: range of width / height, drawn uniformly in its logarithm.

    Returns:
        A box with whole-pixel corners inside the image. When ten draws do not fit, the largest
        centred box within the ratio range.
    """
    height, width = size
    low, high = np.log(ratio[0]), np.log(ratio[1])
    for _ in range(10):
        area = height * width * rng.uniform(*scale)
        aspect = np.exp(rng.uniform(low, high))
        w, h = round((area * aspect) ** 0.5), round((area / aspect) ** 0.5)
        if 0 < w <= width and 0 < h <= height:
            top = int(rng.integers(0, height - h + 1))
            left = int(rng.integers(0, width - w + 1))
            return left, top, left + w, top + h
    w = min(width, round(height * ratio[1]))
    h = min(height, round(width / ratio[0]))
    left, top = (width - w) // 2, (height - h) // 2
    return left, top, left + w, top + h


def centre_crop(size: tuple[int, int]) -> Box:
    """The largest centred square."""
    height, width = size
    side = min(size)
    left, top = (width - side) // 2, (height - side) // 2
    return left, top, left + side, top + side


def check_interpolation(name: str) -> str:
    """Raises ValueError when there is no interpolation of that name."""
    if name not in INTERPOLATIONS:
        raise ValueError(f'interpolation={name!r}; known: {", ".join(INTERPOLATIONS)}')
    return name


def check_decode(name: str) -> str:
    """Raises ValueError when there is no such decoding."""
    if name not in DECODES:
        raise ValueError(f'decode={name!r}; known: {", ".join(DECODES)}')
    return name


def read_crop(
    image: Image.Image, box: Box, out: int, interpolation: str = 'bilinear', decode: str = 'exact'
) -> np.ndarray:
    """`box` of an opened image as (out, out, 3) uint8 RGB.

    Antialiased; bilinear as in SimMIM's code, BEiT's ask for bicubic.
    """
    rgb, (box,) = decode_for(image, [box], out, decode)
    return resize_box(rgb, box, out, interpolation, decode)


def decode_for(
    image: Image.Image, boxes: Sequence[Box], out: int, decode: str = 'exact'
) -> tuple[Picture, list[Box]]:
    """The RGB picture, perhaps decoded smaller for `boxes` at `out` pixels, and the boxes in it."""
    if decode == 'exact':
        return to_rgb(image), [*boxes]
    full_width, full_height = image.size
    sides = (min(right - left, bottom - top) for left, top, right, bottom in boxes)
    rgb = fast.read_jpeg(image, min(sides) / out / KEPT)
    if rgb is None:
        rgb = np.array(to_rgb(image))
    height, width = rgb.shape[:2]
    x, y = width / full_width, height / full_height
    return rgb, [(box[0] * x, box[1] * y, box[2] * x, box[3] * y) for box in boxes]


def resize_box(
    rgb: Picture, box: Box, out: int, interpolation: str, decode: str = 'exact'
) -> np.ndarray:
    """The box of a picture as (out, out, 3) uint8."""
    if decode == 'fast' and interpolation in fast.MODES:
        pixels = rgb if isinstance(rgb, np.ndarray) else np.array(rgb)
        return fast.resize(pixels, box, out, interpolation)
    # Cut out first: a resize of a box would let its border see the pixels beyond.
    left, top, right, bottom = (round(edge) for edge in box)
    crop = as_pillow(rgb).crop((left, top, right, bottom))
    return np.asarray(crop.resize((out, out), INTERPOLATIONS[interpolation]))


def as_pillow(rgb: Picture) -> Image.Image:
    return Image.fromarray(rgb) if isinstance(rgb, np.ndarray) else rgb


def channels_first(pixels: np.ndarray, flip: bool = False) -> np.ndarray:
    """(H, W, 3) -> (3, H, W), mirrored left to right if asked for."""
    return np.ascontiguousarray((pixels[:, ::-1] if flip else pixels).transpose(2, 0, 1))


def colour_jitter(image: Picture, strength: float, rng: np.random.Generator) -> Picture:
    """Change brightness, contrast and saturation, each by its own factor, in a random order.

    Args:
        image: RGB.
        strength: factors are uniform in [1 - strength, 1 + strength]; 0 draws nothing.
    """
    if not strength:
        return image
    image = as_pillow(image)
    factors = rng.uniform(1 - strength, 1 + strength, len(PROPERTIES))
    for k in rng.permutation(len(PROPERTIES)):
        image = PROPERTIES[k](image).enhance(float(factors[k]))
    return image


def list_images(root: str | Path) -> list[str]:
    """All image files below a folder, sorted.

    Raises:
        UserError: no such folder, or no images in it.
    """
    folder = Path(root)
    if not folder.is_dir():
        raise UserError(
            f'pre-training images: folder {folder.absolute()} is not there; '
            'set train_dataloader.dataset.root or give --data'
        )
    files = sorted(str(p) for p in folder.rglob('*') if p.suffix.lower() in SUFFIXES)
    if not files:
        raise UserError(f'pre-training images: no JPEG or PNG below {folder.absolute()}')
    return files


def load_image(
    path: str | Path, img_size: int, interpolation: str = 'bilinear', decode: str = 'exact'
) -> torch.Tensor:
    """The centre of one file as (3, S, S) uint8.

    Raises:
        UserError: the file is no readable image.
    """
    try:
        with open_image(path) as image:
            width, height = image.size
            box = centre_crop((height, width))
            pixels = read_crop(image, box, img_size, interpolation, decode)
    except BAD_IMAGE as error:
        raise UserError(f'image {path} cannot be decoded: {error}') from error
    return torch.from_numpy(channels_first(pixels))


def load_readable(
    files: list[str], img_size: int, interpolation: str = 'bilinear'
) -> dict[str, torch.Tensor]:
    """`load_image` of those that can be decoded; training skips and counts the others."""
    found = {}
    for path in files:
        with suppress(UserError):
            found[path] = load_image(path, img_size, interpolation)
    return found


def unreadable(files: list[str], read: Collection[str]) -> list[str]:
    """Those of the files that were not read.

    Raises:
        UserError: all of them.
    """
    if not read:
        more = f' nor any of {len(files) - 1} more' if len(files) > 1 else ''
        raise UserError(f'image {files[0]} cannot be decoded{more}')
    return [path for path in files if path not in read]


def choose_images(source: str | Path, count: int) -> list[str]:
    """`count` files spread evenly over a folder, or the one file.

    Raises:
        UserError: neither a file nor a folder with images.
    """
    if Path(source).is_file():
        return [str(source)]
    if not Path(source).exists():
        raise UserError(f'{source} does not exist; give an image or a folder of images')
    return evenly(list_images(source), count)


def evenly(files: list[str], count: int) -> list[str]:
    """`count` of the files, from the first to the last."""
    return [files[i] for i in np.linspace(0, len(files) - 1, min(count, len(files))).astype(int)]
