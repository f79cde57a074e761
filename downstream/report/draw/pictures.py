"""Sample pictures: read, checked, and made small enough to travel inside one page."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from downstream.report.read.groups import System
from mim_backbones.errors import UserError
from mim_backbones.images.opening import BAD_IMAGE

MAX_SIDE = 1400  # pixels; twice the width a page shows them at
HEAVY = 250_000  # bytes from which a photographic picture goes as JPEG


@dataclass(frozen=True)
class Picture:
    """An encoded picture with its caption. suffix: '.png', '.jpg' or '.svg'."""

    title: str
    content: bytes
    suffix: str
    width: int
    height: int

    @property
    def wide(self) -> bool:
        return self.width > 1.8 * self.height

    @property
    def data_uri(self) -> str:
        kind = {'.png': 'png', '.jpg': 'jpeg', '.svg': 'svg+xml'}[self.suffix]
        return f'data:image/{kind};base64,{base64.b64encode(self.content).decode()}'


def read_picture(path: Path, title: str) -> Picture:
    """Reads a PNG, JPEG or WebP; Pillow has readers that start other programs.

    Raises:
        UserError: missing or no picture; names the file.
    """
    try:
        with Image.open(path, formats=('PNG', 'JPEG', 'WEBP')) as opened:
            image = opened.convert('RGB')
    except FileNotFoundError as error:
        raise UserError(f'{path}: picture not found') from error
    except BAD_IMAGE as error:
        raise UserError(f'{path}: not a picture ({error}); delete it or make it again') from error
    image.thumbnail((MAX_SIDE, MAX_SIDE))
    content, suffix = _encoded(image, 'PNG', optimize=True), '.png'
    if len(content) > HEAVY:
        content, suffix = _encoded(image, 'JPEG', quality=88), '.jpg'
    return Picture(title, content, suffix, *image.size)


def sample_pictures(systems: Sequence[System]) -> list[Picture]:
    """The pictures of each system's first run, those of the same short name side by side."""
    found = []
    for system in systems:
        run = system.runs[0]
        for name in run.result.pictures:
            short = name.removeprefix(f'{run.result.stem}.').rsplit('.', 1)[0]
            title = f'{system.label}: {short.replace("_", " ")}'
            found.append((short, read_picture(run.beside(name), title)))
    return [picture for _, picture in sorted(found, key=lambda pair: pair[0])]


def named_pictures(given: Sequence[str]) -> list[Picture]:
    """Pictures given as 'TITLE=PATH' on the command line.

    Raises:
        UserError: no '=' in it, or no picture there.
    """
    pictures = []
    for text in given:
        title, separator, path = text.partition('=')
        if not (separator and title and path):
            raise UserError(f'--picture {text!r}: write it as TITLE=PATH')
        pictures.append(read_picture(Path(path), title))
    return pictures


def _encoded(image: Image.Image, form: str, **options: int) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()
