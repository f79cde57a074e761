"""Our reading of pre-training images against the usual one: Pillow and torchvision's transforms.

Both take turns at each batch of the same files, crops and flips, one thread each, and processor
time counts, so that what else the machine does touches both alike. The usual pipeline ends in
normalised float32, ours in bytes: a model here normalises on its device, in the step.

    read       the file's bytes            augment    crop, resize, flip, to a tensor
    decode     to RGB                      collate    a batch of them
"""

import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image
from torch.utils.data import default_collate
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as usual

from mim_backbones.bench.stages import Speed, StageClock, speed
from mim_backbones.images.normalise import IMAGENET_MEAN, IMAGENET_STD
from mim_backbones.images.opening import open_image
from pretrain.images import dataset as ours
from pretrain.images.decode import sample_crop

STAGES = ('read', 'decode', 'augment', 'collate')
QUALITY = 90  # of a JPEG that is written larger
RATIO, FLIP = (3 / 4, 4 / 3), 0.5


@dataclass(frozen=True)
class LoadingRow:
    """Our pipeline at one decoding, and the usual one.

    Attributes:
        ratio: images per second and core, ours to the usual: lowest, median, highest repetition.
        levels: how far pixels are apart in grey levels of 255: mean, largest.
    """

    decode: str
    size: int
    images: int
    ours: Speed
    usual: Speed
    ratio: tuple[float, float, float]
    levels: tuple[float, float]


def measure(
    folder: str,
    size: int,
    scale: tuple[float, float],
    interpolation: str,
    decode: str,
    batch: int,
    repeats: int,
    seed: int = 0,
) -> LoadingRow:
    """Compare the pipelines on a folder's images.

    Args:
        size: side of the crops in pixels.
        scale: range of a crop's share of the area.
        repeats: passes over the images, each with draws of its own.

    Raises:
        UserError: no such folder, or no images in it.
    """
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    data = ours.UnlabelledImages(
        folder, None, scale, RATIO, FLIP, interpolation=interpolation, decode=decode
    )
    data.bind(ours.Needs(size, size))
    count, apart = len(data), []
    spent: dict[str, list[np.ndarray]] = {'ours': [], 'usual': []}
    for turn in range(repeats):
        totals = {name: np.zeros(len(STAGES)) for name in spent}
        for start in range(0, count, batch):
            samples = [(i, (seed, turn, i)) for i in range(start, min(count, start + batch))]
            found, times = _ours(data, samples)
            totals['ours'] += times
            wanted, times = _usual(data, samples)
            totals['usual'] += times
            if turn == 0:
                apart.append(_apart(found, wanted))
        for name, total in totals.items():
            spent[name].append(total / count)
    ratios = [b.sum() / a.sum() for a, b in zip(spent['ours'], spent['usual'], strict=True)]
    return LoadingRow(
        decode=decode,
        size=size,
        images=count,
        ours=speed(spent['ours'], STAGES),
        usual=speed(spent['usual'], STAGES),
        ratio=(float(min(ratios)), float(median(ratios)), float(max(ratios))),
        levels=(float(np.mean([m for m, _ in apart])), max(largest for _, largest in apart)),
    )


def _ours(data: ours.UnlabelledImages, samples: list[Any]) -> tuple[torch.Tensor, np.ndarray]:
    """A batch (B, 3, S, S) uint8, and the seconds of each stage."""
    begin = process_time()
    with StageClock(ours, 'open_image') as read, StageClock(ours, 'decode_for') as decode:
        read.call = _from_memory
        items = [data[sample] for sample in samples]
    loaded = process_time()
    image = default_collate(items)['image']
    rest = loaded - begin - read.seconds - decode.seconds
    return image, np.array([read.seconds, decode.seconds, rest, process_time() - loaded])


def _from_memory(path: str) -> Image.Image:
    """The file read whole: else its bytes would be read while they are decoded."""
    return open_image(io.BytesIO(Path(path).read_bytes()))


def _usual(data: ours.UnlabelledImages, samples: list[Any]) -> tuple[torch.Tensor, np.ndarray]:
    """A batch (B, 3, S, S) float32, normalised, and the seconds of each stage."""
    times, items = np.zeros(len(STAGES)), []
    mode = InterpolationMode(data.interpolation)
    for index, entropy in samples:
        ticks = [process_time()]
        content = Path(data.files[index]).read_bytes()
        ticks.append(process_time())
        image = Image.open(io.BytesIO(content)).convert('RGB')
        ticks.append(process_time())
        rng = np.random.default_rng(entropy)
        left, top, right, bottom = map(
            int, sample_crop((image.height, image.width), data.scale, data.ratio, rng)
        )
        side = [data.img_size, data.img_size]
        image = usual.resized_crop(image, top, left, bottom - top, right - left, side, mode)
        if rng.random() < data.flip:
            image = usual.hflip(image)
        items.append(usual.normalize(usual.to_tensor(image), IMAGENET_MEAN, IMAGENET_STD))
        ticks.append(process_time())
        times[:3] += np.diff(ticks)
    begin = process_time()
    batch = default_collate(items)
    times[3] = process_time() - begin
    return batch, times


def _apart(found: torch.Tensor, wanted: torch.Tensor) -> tuple[float, float]:
    """Mean and largest difference in grey levels."""
    mean, std = (torch.tensor(x).view(3, 1, 1) for x in (IMAGENET_MEAN, IMAGENET_STD))
    levels = (wanted * std + mean) * 255
    difference = (found - levels.round()).abs()
    return float(difference.mean()), float(difference.max())


def write_larger(files: Sequence[str], side: int, folder: Path) -> None:
    """Copies as JPEGs whose longer side is `side` pixels."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # Pillow's, of odd metadata
        for i, file in enumerate(files):
            with open_image(file) as image:
                factor = side / max(image.size)
                size = (round(image.width * factor), round(image.height * factor))
                larger = image.convert('RGB').resize(size, Image.Resampling.LANCZOS)
            larger.save(folder / f'{i:06d}.jpg', quality=QUALITY)
