"""What every layout shares: items of work, their random streams, and writing pictures."""

from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import cv2
import numpy as np

from downstream.synthetic.classes import WORLD_VERSION

JPEG_QUALITY = 92


@dataclass(frozen=True)
class Item:
    """One picture or sequence of one split; small enough to send to another process."""

    part: str  # as in data.yaml
    split: str  # folder or list name, part of the random stream
    index: int  # within the split
    pictures: int  # how many it writes, about


def numbered(part: str, split: str, count: int, pictures: int = 1) -> list[Item]:
    """`count` items of one split."""
    return [Item(part, split, index, pictures) for index in range(count)]


def random_stream(seed: int, split: str, index: int) -> np.random.Generator:
    """Depends on nothing else, so that any picture can be made alone, in any order.

    split: such as 'coco/train2017'; seed and index: 0 or more."""
    return np.random.default_rng([WORLD_VERSION, seed, crc32(split.encode()), index])


def write_jpeg(path: Path, image: np.ndarray) -> None:
    """image: uint8 RGB (H, W, 3). Unlike cv2.imwrite's, a full disk raises OSError."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode('.jpg', bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    path.write_bytes(data.tobytes())


def write_png(path: Path, labels: np.ndarray) -> None:
    """labels: uint8 (H, W), written as they are."""
    _, data = cv2.imencode('.png', labels)
    path.write_bytes(data.tobytes())
