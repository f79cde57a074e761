"""What the codes of a tokenizer stand for: how often each occurs, and patches that have it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
from PIL import Image, ImageDraw

from mim_backbones.errors import UserError
from pretrain.hooks.codebook_health import CodebookHealth, codebook_health
from pretrain.images.decode import choose_images, load_readable, unreadable
from pretrain.images.preprocessor import to_unit

BATCH = 16  # images at a time
TILE = 48  # side of a patch in the picture, in pixels
GAP = 2
LABEL = 110  # width of what stands before a row


@dataclass(frozen=True)
class CodeUse:
    """One code: its id, how many tokens have it, and their share of all."""

    id: int
    count: int
    share: float


@dataclass(frozen=True)
class Survey:
    """A tokenizer on some images.

    Attributes:
        health: usage of the whole codebook.
        codes: the most frequent codes, falling.
        patches: of each of those, (n, 3, p, p) uint8.
        images: how many images.
        skipped: files that cannot be decoded.
    """

    health: CodebookHealth
    codes: tuple[CodeUse, ...]
    patches: tuple[np.ndarray, ...]
    images: int
    skipped: tuple[str, ...] = ()

    def picture(self) -> Image.Image:
        """A row for each code: id and share, then its patches."""
        columns = max(len(tiles) for tiles in self.patches)
        size = (LABEL + columns * (TILE + GAP) + GAP, len(self.codes) * (TILE + GAP) + GAP)
        canvas = Image.new('RGB', size, 'white')
        draw = ImageDraw.Draw(canvas)
        for row, (code, tiles) in enumerate(zip(self.codes, self.patches, strict=True)):
            top = GAP + row * (TILE + GAP)
            text = f'code {code.id}\n{code.share:.2%} of tokens'
            draw.text((GAP + 2, top + TILE // 4), text, fill='black')
            for column, tile in enumerate(tiles):
                image = Image.fromarray(tile.transpose(1, 2, 0))
                place = (LABEL + column * (TILE + GAP), top)
                canvas.paste(image.resize((TILE, TILE), Image.Resampling.NEAREST), place)
        return canvas


def survey(
    tokenizer: nn.Module,
    images: str | Path,
    count: int,
    size: int | None = None,
    codes: int = 24,
    patches: int = 16,
) -> Survey:
    """Name the patches of `count` images and group them by code.

    Args:
        tokenizer: in eval mode, with `codes`, `input_size` and `encode`.
        size: side of the (centre-cropped) images in pixels; None: `input_size`, or 224.
        codes: how many of the most frequent to show.
        patches: of each, taken from as many images as possible.

    Raises:
        UserError: no images that can be decoded, or a size the tokenizer cannot divide.
    """
    files = choose_images(images, count)
    side = size or tokenizer.input_size or 224
    ids, pixels = [], []
    read: set[str] = set()
    for start in range(0, len(files), BATCH):
        views = load_readable(files[start : start + BATCH], side)
        if not views:
            continue
        read |= views.keys()
        batch = torch.stack([*views.values()])
        try:
            with torch.no_grad():
                found = tokenizer.encode(to_unit(batch))
        except ValueError as error:
            raise UserError(f'the tokenizer cannot take images of {side} px: {error}') from error
        ids.append(found.flatten(1).numpy())
        pixels.append(cut(batch, found.shape[1:]).numpy())
    skipped = unreadable(files, read)
    named, cells = np.concatenate(ids), np.concatenate(pixels)
    hits = np.bincount(named.ravel(), minlength=tokenizer.codes)
    health = codebook_health(hits)
    top = [int(code) for code in np.argsort(-hits, kind='stable')[:codes] if hits[code]]
    return Survey(
        health=health,
        codes=tuple(CodeUse(c, int(hits[c]), float(hits[c] / hits.sum())) for c in top),
        patches=tuple(spread(named == code, cells, patches) for code in top),
        images=len(read),
        skipped=tuple(skipped),
    )


def cut(image: torch.Tensor, grid: torch.Size) -> torch.Tensor:
    """image (B, 3, H, W) -> its cells (B, N, 3, p, p), raster order."""
    height, width = image.shape[-2] // grid[0], image.shape[-1] // grid[1]
    cells = image.unfold(2, height, height).unfold(3, width, width)  # (B, 3, h, w, p, p)
    return cells.permute(0, 2, 3, 1, 4, 5).flatten(1, 2)


def spread(has: np.ndarray, cells: np.ndarray, count: int) -> np.ndarray:
    """`count` of the cells where `has` (B, N) is True, image after image in turns."""
    image, place = np.nonzero(has)
    first = np.searchsorted(image, image)  # where the run of each image begins
    order = np.argsort(np.arange(len(image)) - first, kind='stable')[:count]
    return cells[image[order], place[order]]
