"""What a reduced decode changes: the frequencies that pass, the pictures, the images a second."""

import io
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from mim_backbones.images.opening import open_image
from pretrain.images.decode import DECODES, Box, decode_for, read_crop, sample_crop

# Shares of the target's Nyquist frequency: what it shall keep, and what it cannot hold.
SHARES = (0.5, 0.9, 1.2, 1.6)
AMPLITUDE = 100


@dataclass(frozen=True)
class PhotoCost:
    """Of photos at one size.

    Attributes:
        images: how many.
        reduced: share that 'fast' decodes smaller.
        difference: mean grey levels between 'exact' and 'fast', over all photos.
        worst: the largest of one photo's means.
        rate: images per second of processor time, of each decoding.
    """

    images: int
    reduced: float
    difference: float
    worst: float
    rate: dict[str, float]


def gain(crop: int, out: int, share: float, decode: str, interpolation: str = 'bilinear') -> float:
    """What is left of a wave's amplitude when a JPEG of `crop` px becomes `out` px.

    share: of its frequency in the target's Nyquist frequency. Above 1 the target cannot hold it;
        what is left then shows as a wave that the picture never had.
    """
    cycles = share * out / 2
    wave = 127.5 + AMPLITUDE * np.sin(2 * np.pi * cycles * (np.arange(crop) + 0.5) / crop)
    stripes = np.broadcast_to(wave.round().astype(np.uint8)[None, :, None], (crop, crop, 3))
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(stripes)).save(stream, 'JPEG', quality=100, subsampling=0)
    with Image.open(stream) as image:
        found = read_crop(image, (0, 0, crop, crop), out, interpolation, decode)
    return float(found[:, out // 8 : -(out // 8)].std() * 2**0.5 / AMPLITUDE)


def photo_cost(
    files: Sequence[str],
    out: int,
    scale: tuple[float, float] = (0.67, 1.0),
    interpolation: str = 'bilinear',
    seed: int = 0,
) -> PhotoCost:
    """Compare the decodings on crops as a training draws them.

    Args:
        files: readable images.
        scale: range of a crop's share of the area.
    """
    rng = np.random.default_rng(seed)
    boxes: list[Box] = []
    reduced = 0
    for file in files:
        with open_image(file) as image:
            width, height = image.size
            boxes.append(sample_crop((height, width), scale, (3 / 4, 4 / 3), rng))
            reduced += decode_for(image, boxes[-1:], out, 'fast')[1] != boxes[-1:]
    crops: dict[str, list[np.ndarray]] = {}
    rate = {}
    for decode in DECODES:
        start = time.process_time()
        crops[decode] = []
        for file, box in zip(files, boxes, strict=True):
            with open_image(file) as image:
                crops[decode].append(read_crop(image, box, out, interpolation, decode))
        rate[decode] = len(files) / (time.process_time() - start)
    apart = [
        float(np.abs(a.astype(np.int16) - b).mean())
        for a, b in zip(crops['exact'], crops['fast'], strict=True)
    ]
    return PhotoCost(
        len(files), reduced / len(files), float(np.mean(apart)), float(max(apart)), rate
    )
