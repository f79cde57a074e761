"""Label maps that were predicted elsewhere: PNGs in the data set's own numbering, scored.

A folder holds for each label map of the val split one of the same name and size. Numbers are those
of the data set's files: under `reduce_zero_label` class k is written k + 1. Where the truth is
ignored any number will do.
"""

from pathlib import Path

import numpy as np

from downstream.results.units import Array
from downstream.segmentation.data import SegmentationData, folders, read_split
from downstream.segmentation.metric import pixel_counts
from downstream.segmentation.units import SegmentationUnits
from downstream.task import Evaluation
from mim_backbones.errors import UserError

IGNORED = -1  # here, whatever the data set writes


def score_maps(data: SegmentationData, folder: Path) -> Evaluation:
    """mIoU, mAcc and aAcc of a folder of predicted label maps on the val split.

    Raises:
        UserError: a map is missing, unreadable, of another size or holds what is no class; names
            the file.
    """
    if not folder.is_dir():
        raise UserError(f'{folder} is no folder; --predictions takes one of label maps (PNG)')
    labels = read_split(data, data.val).labels
    root = folders(data, data.val)[1]
    missing = [path for path in labels if not (folder / path.relative_to(root)).is_file()]
    if missing:
        raise UserError(
            f'{folder / missing[0].relative_to(root)} is not there ({len(missing)} of '
            f'{len(labels)} label maps are missing); predict every image'
        )
    classes = len(data.classes)
    counts = []
    for path in labels:
        own = folder / path.relative_to(root)
        label, prediction = _read(path), _read(own)
        if label.shape != prediction.shape:
            sizes = [' x '.join(map(str, each.shape[::-1])) for each in (prediction, label)]
            raise UserError(f'{own} has {sizes[0]} pixels, its label map {path} {sizes[1]}')
        ignored = label == data.ignore_index
        if data.reduce_zero_label:
            ignored |= label == 0
        first = int(data.reduce_zero_label)
        _check(path, label, ignored, first, classes)
        _check(own, prediction, ignored, first, classes)
        label, prediction = label - first, prediction - first
        label[ignored], prediction[ignored] = IGNORED, 0
        counts.append(pixel_counts(prediction, label, classes, IGNORED))
    names = [path.stem for path in labels]
    units = SegmentationUnits(names, *(np.stack(each) for each in zip(*counts)))
    note = f'numbers {first} to {classes - 1 + first} of the label maps are the {classes} classes'
    if data.reduce_zero_label:
        note += ', 0 is unlabelled (reduce_zero_label)'
    return Evaluation(units.observed(), units, notes=(note,))


def _read(path: Path) -> Array:
    """(H, W) int32. Raises UserError for what is no label map."""
    from PIL import Image

    try:
        with Image.open(path) as picture:
            label = np.asarray(picture)
    except (OSError, SyntaxError, ValueError) as error:
        raise UserError(f'label map {path} cannot be read ({error})') from error
    if label.ndim != 2 or label.dtype.kind not in 'ui':
        kind = f'{label.shape[-1]} channels' if label.ndim > 2 else f'values of {label.dtype}'
        raise UserError(f'label map {path} has {kind}; expected one channel of class numbers')
    return label.astype(np.int32)


def _check(path: Path, label: Array, ignored: Array, first: int, classes: int) -> None:
    """Raises UserError naming a number that is no class where the truth counts."""
    strange = ((label < first) | (label >= first + classes)) & ~ignored
    if strange.any():
        row, column = np.argwhere(strange)[0]
        raise UserError(
            f'label map {path} holds {label[row, column]} at x {column}, y {row}, where a class '
            f'from {first} to {first + classes - 1} is expected; check classes, ignore_index and '
            'reduce_zero_label of the data file'
        )
