"""Crops of training sequences, by which int8 learns the range of each layer's input."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from downstream.tracking.crop import cut, window_around
from downstream.tracking.data import Sequence, read_sequences
from downstream.tracking.tracker import Locator

PAIRS = 64

Pair = tuple[np.ndarray, np.ndarray, np.ndarray]  # template crop, the box in it, search crop


def calibration_pairs(
    model: Locator, root: Path, train_list: str = 'training_set.txt', count: int = PAIRS
) -> list[Pair]:
    """About `count` crops as the tracker would see them, evenly from all training sequences.

    Crops (S, S, 3) uint8; the box (4,) xywh as fractions of the template crop.
    Raises UserError for a set that cannot be read.
    """
    sequences = read_sequences(root, train_list)[:count]
    each = -(-count // len(sequences))
    return [pair for sequence in sequences for pair in _pairs(model, sequence, each)]


def _pairs(model: Locator, sequence: Sequence, count: int) -> Iterator[Pair]:
    """The target of the first frame, looked for around where it was one frame before."""
    first = sequence.boxes[0]
    window = window_around(first, model.template_factor)
    template = cut(sequence.read_frame(0), window, model.template_size, model.published)
    inside = window.to_crop(first, model.template_size, model.published)
    known = np.flatnonzero(sequence.visible[:-1] & (sequence.boxes[:-1, 2:] > 0).all(1))
    for before in known[np.linspace(0, len(known) - 1, min(count, len(known))).astype(int)]:
        around = window_around(sequence.boxes[before], model.search_factor)
        frame = sequence.read_frame(int(before) + 1)
        yield template, inside, cut(frame, around, model.search_size, model.published)
