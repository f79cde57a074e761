"""Videos in and out: frames of a file or of a folder of images, boxes drawn into a new file."""

import re
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from downstream.tracking.frame import read_frame
from downstream.tracking.picture import PREDICTED_COLOUR
from mim_backbones.errors import UserError

IMAGES = {'.bmp', '.jpeg', '.jpg', '.png', '.webp'}
FRAMES_PER_SECOND = 25.0  # of a folder, which does not say


def frames_of(source: str | Path) -> Iterator[np.ndarray]:
    """The frames, in order, (H, W, 3) uint8 RGB; images of a folder by the numbers in their names.

    Raises UserError for a source without frames, or an image that cannot be read.
    """
    path = Path(source)
    if path.is_dir():
        yield from _images_of(path)
        return
    video = cv2.VideoCapture(str(path)) if path.is_file() else None
    if video is None or not video.isOpened():
        raise UserError(f'{path}: no video that OpenCV reads, and no folder of images')
    try:
        while (found := video.read())[0]:
            yield cv2.cvtColor(found[1], cv2.COLOR_BGR2RGB)
    finally:
        video.release()


def frame_rate(source: str | Path) -> float:
    """Frames per second that a video says it has; of a folder 25."""
    if Path(source).is_dir():
        return FRAMES_PER_SECOND
    video = cv2.VideoCapture(str(source))
    try:
        return video.get(cv2.CAP_PROP_FPS) or FRAMES_PER_SECOND
    finally:
        video.release()


class TrackVideo:
    """An mp4 file of frames with a box and its score drawn in; a context manager.

    Args:
        path: of the file, which is replaced.
        rate: frames per second.
    """

    def __init__(self, path: Path, rate: float) -> None:
        self.path = path
        self.rate = rate
        self.shape: tuple[int, int] | None = None

    def __enter__(self) -> 'TrackVideo':
        return self

    def write(self, frame: np.ndarray, box: np.ndarray, score: float) -> None:
        """frame: (H, W, 3) uint8 RGB; box: (4,) xywh, pixels.

        Raises UserError when the file cannot be written, or frames change their size.
        """
        height, width = frame.shape[:2]
        if self.shape is None:
            self.shape = (height, width)
            code = cv2.VideoWriter.fourcc(*'mp4v')
            self.writer = cv2.VideoWriter(str(self.path), code, self.rate, (width, height))
            if not self.writer.isOpened():
                raise UserError(f'{self.path}: cannot be written; --out takes a file .mp4')
        if self.shape != (height, width):
            raise UserError(
                f'frames of {self.shape[1]}x{self.shape[0]} and {width}x{height} pixels; a video '
                'has one size'
            )
        x, y, w, h = box
        drawn = cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
        colour = PREDICTED_COLOUR[::-1]
        corner = (round(x), round(y))
        cv2.rectangle(drawn, corner, (round(x + w), round(y + h)), colour, 2)
        text = (corner[0], max(corner[1] - 4, 12))
        cv2.putText(drawn, f'{score:.2f}', text, cv2.FONT_HERSHEY_SIMPLEX, 0.5, colour, 1)
        self.writer.write(drawn)

    def __exit__(self, *_: object) -> None:
        if self.shape is not None:
            self.writer.release()


def _images_of(folder: Path) -> Iterator[np.ndarray]:
    paths = [path for path in folder.iterdir() if path.suffix.lower() in IMAGES]
    if not paths:
        raise UserError(f'{folder}: no images in it ({", ".join(sorted(IMAGES))})')
    for path in sorted(paths, key=_number):
        yield read_frame(path)


def _number(path: Path) -> tuple[list[int], str]:
    """Sorts 9.jpg before 10.jpg."""
    return [int(digits) for digits in re.findall(r'\d+', path.stem)], path.name
