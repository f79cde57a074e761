"""A picture of tracked sequences: one row each, frames from first to last, truth and prediction."""

from pathlib import Path

import cv2
import numpy as np

from downstream.tracking.data import Sequence
from downstream.tracking.tracker import Track
from mim_backbones.console.atomic_file import write_bytes_atomically

TRUTH_COLOUR = (60, 220, 60)
PREDICTED_COLOUR = (255, 60, 60)
TEXT_COLOUR = (20, 20, 20)
GAP, TITLE = 4, 34
TEXT = 0.75  # of OpenCV's size: a phone shows a strip at less than half its width


def write_strips(
    path: str | Path,
    rows: list[tuple[str, Sequence, Track]],
    frames: int = 4,
    height: int = 150,
) -> Path:
    """Write a PNG with one titled row for each (title, sequence, track); frames `height` px high.

    Green: truth, where the target is visible. Red: prediction.
    Raises UserError when a frame cannot be read or the file not be written.
    """
    strips = [_strip(*row, frames, height) for row in rows]
    width = max(strip.shape[1] for strip in strips)
    page = np.concatenate([_widened(strip, width) for strip in strips])
    done, png = cv2.imencode('.png', cv2.cvtColor(page, cv2.COLOR_RGB2BGR))
    assert done
    return write_bytes_atomically(Path(path), png.tobytes())


def _strip(title: str, sequence: Sequence, track: Track, frames: int, height: int) -> np.ndarray:
    """One row: (TITLE + height + GAP, W, 3) uint8."""
    tiles = []
    for index in np.linspace(0, len(sequence) - 1, frames).round().astype(int).tolist():
        image = sequence.read_frame(index)
        scale = height / image.shape[0]
        tile = cv2.resize(image, (round(scale * image.shape[1]), height))
        if sequence.visible[index]:
            _draw(tile, sequence.boxes[index] * scale, TRUTH_COLOUR)
        _draw(tile, track.boxes[index] * scale, PREDICTED_COLOUR)
        _write(tile, f'{index + 1}', (4, height - 6), (255, 255, 255))
        tiles += [tile, np.full((height, GAP, 3), 255, np.uint8)]
    row = np.concatenate(tiles, axis=1)
    header = np.full((TITLE, row.shape[1], 3), 255, np.uint8)
    _write(header, title, (4, TITLE - 11), TEXT_COLOUR)
    for text, colour, right in (('truth', TRUTH_COLOUR, 205), ('predicted', PREDICTED_COLOUR, 130)):
        _write(header, text, (row.shape[1] - right, TITLE - 11), colour)
    return _widened(np.concatenate([header, row]), row.shape[1], extra=GAP)


def _draw(tile: np.ndarray, box: np.ndarray, colour: tuple[int, int, int]) -> None:
    x1, y1 = (round(value) for value in box[:2].tolist())
    x2, y2 = (round(value) for value in (box[:2] + box[2:]).tolist())
    cv2.rectangle(tile, (x1, y1), (x2, y2), colour, 2)


def _write(tile: np.ndarray, text: str, at: tuple[int, int], colour: tuple[int, int, int]) -> None:
    cv2.putText(tile, text, at, cv2.FONT_HERSHEY_SIMPLEX, TEXT, colour, 1, cv2.LINE_AA)


def _widened(strip: np.ndarray, width: int, extra: int = 0) -> np.ndarray:
    """White up to `width`, and `extra` white rows below."""
    room = ((0, extra), (0, width - strip.shape[1]), (0, 0))
    return np.pad(strip, room, constant_values=255)
