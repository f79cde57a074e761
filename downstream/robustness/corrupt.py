"""One corruption of one picture: the same whoever asks, and wherever.

the 15 corruptions of ImageNet-C at five severities, in the form for pictures of any size
papers: Hendrycks & Dietterich, arXiv 1903.12261; Michaelis et al., arXiv 1907.07484
"""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from downstream.robustness import blur, digital, noise, weather
from downstream.robustness.conditions import NAMES, SEED, SEVERITIES, Conditions
from mim_backbones.errors import UserError

PHOTOGRAPHS = ('.png', '.jpg', '.jpeg')
Corruption = Callable[[NDArray, int, np.random.Generator], NDArray]
CORRUPTIONS: dict[str, Corruption] = {
    name: next(
        getattr(room, name) for room in (noise, blur, weather, digital) if name in vars(room)
    )
    for name in NAMES
}


def corrupt(
    image: NDArray,
    name: str,
    severity: int,
    identity: str,
    seed: int = SEED,
    frost_pictures: Sequence[NDArray] = (),
) -> NDArray:
    """A corrupted copy of an image (H, W, 3) uint8 RGB of any size.

    Args:
        identity: what the picture is called; name, severity, identity and seed decide what is
            drawn at random.
        frost_pictures: photographs of frost; without them frost is drawn.

    Raises:
        UserError: no such corruption or severity, or the image is none of these.
    """
    if name not in CORRUPTIONS:
        raise UserError(f'no corruption {name!r}; known: {", ".join(NAMES)}')
    if severity not in SEVERITIES:
        raise UserError(f'no severity {severity!r}; known: 1 to 5')
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise UserError(
            f'{identity}: corruptions take pictures (H, W, 3) of uint8, this is {image.shape} of '
            f'{image.dtype}; decode it in colour'
        )
    content = f'{seed}\n{name}\n{severity}\n{identity}'.encode()
    rng = np.random.default_rng(int.from_bytes(hashlib.sha256(content).digest()[:16], 'little'))
    if name == 'frost':
        return weather.frost(image, severity, rng, frost_pictures)
    return CORRUPTIONS[name](image, severity, rng)


def conditions_for(
    corruptions: Sequence[str], severities: Sequence[int], frost_pictures: Path | None = None
) -> Conditions:
    """What is asked for, once it is sure that it can be made.

    Raises:
        UserError: the folder of photographs holds none, or there is no frost to take them.
    """
    if frost_pictures is None:
        return Conditions(tuple(corruptions), tuple(severities))
    if 'frost' not in corruptions:
        raise UserError('--frost-pictures: frost is not among --corruptions')
    digest = hashlib.sha256()
    for picture in read_frost(frost_pictures):
        digest.update(f'{picture.shape}'.encode() + picture.tobytes())
    folder = str(frost_pictures.resolve())
    return Conditions(tuple(corruptions), tuple(severities), folder, digest.hexdigest()[:16])


def read_frost(folder: str | Path) -> list[NDArray]:
    """The photographs of a folder, (h, w, 3) uint8 RGB, by name.

    Raises:
        UserError: there are none, or one cannot be read.
    """
    paths = [p for p in sorted(Path(folder).glob('[!.]*')) if p.suffix.lower() in PHOTOGRAPHS]
    if not paths:
        raise UserError(f'{folder}: no .png or .jpg in it; give a folder of frost photographs')
    pictures = []
    for path in paths:
        content = np.fromfile(path, np.uint8)
        found = cv2.imdecode(content, cv2.IMREAD_COLOR) if content.size else None
        if found is None:
            raise UserError(f'{path}: not a picture; take it out of the folder of frost')
        pictures.append(np.ascontiguousarray(found[..., ::-1]))
    return pictures
