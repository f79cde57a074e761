"""What is read from an ADE20K-style data set before anything is built: pairs and label values."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from downstream.evaluation.fingerprint import listing_digest
from downstream.task import DataCard
from mim_backbones.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.JPG', '.JPEG', '.PNG')
LABEL_SUFFIX = '.png'
LABELS_CHECKED = 16  # of each split: a wrong convention shows in the first few
IGNORED = 255
ONE_VALUE = ('L', 'P', '1', 'I;16', 'I;16B', 'I')  # Pillow's words for pixels of one whole number


@dataclass(frozen=True)
class SegmentationData:
    """ADE20K layout: `images/SPLIT` and `annotations/SPLIT` under `root`.

    Attributes:
        classes: names in label order.
        ignore_index: label value left out of loss and score.
        reduce_zero_label: label 0 means unlabelled and class k is stored as k + 1 (ADE20K).
    """

    root: Path
    classes: tuple[str, ...]
    train: str = 'training'
    val: str = 'validation'
    ignore_index: int = IGNORED
    reduce_zero_label: bool = False

    def wanted(self) -> list[Path]:
        """What must exist."""
        return [self.root, *folders(self, self.train), *folders(self, self.val)]


def folders(data: SegmentationData, split: str) -> tuple[Path, Path]:
    """Those of a split's images and of its label maps."""
    return data.root / 'images' / split, data.root / 'annotations' / split


@dataclass(frozen=True)
class Split:
    """Suffix of a split's images, and its label files."""

    suffix: str
    labels: tuple[Path, ...]


def read_split(data: SegmentationData, name: str) -> Split:
    """Pairs images with label maps, from one listing of each folder.

    Raises:
        UserError: no image, several suffixes, or an image without label map.
    """
    folder, labels = folders(data, name)
    files = sorted(path for path in _files(folder) if path.endswith(IMAGE_SUFFIXES))
    suffixes = {os.path.splitext(path)[1] for path in files}
    if len(suffixes) != 1:
        found = ', '.join(sorted(suffixes)) or 'no image'
        raise UserError(
            f'{folder} must hold images of one suffix ({", ".join(IMAGE_SUFFIXES)}); found {found}'
        )
    there = set(_files(labels))
    wanted = [os.path.splitext(path)[0] + LABEL_SUFFIX for path in files]
    missing = next((path for path in wanted if path not in there), None)
    if missing is not None:
        raise UserError(
            f'{labels / missing} is not there; every image in {folder} needs its label map'
        )
    return Split(suffixes.pop(), tuple(labels / path for path in wanted))


def image_suffix(data: SegmentationData, name: str) -> str:
    """Suffix of a split's images, seen at the first of them."""
    suffixes = (os.path.splitext(path)[1] for path in _files(folders(data, name)[0]))
    return next((suffix for suffix in suffixes if suffix in IMAGE_SUFFIXES), IMAGE_SUFFIXES[0])


def _files(folder: Path) -> Iterator[str]:
    """Files below a folder, relative to it."""
    for place, _, names in os.walk(folder):
        for name in names:
            yield os.path.relpath(os.path.join(place, name), folder)


def check_sizes(data: SegmentationData, name: str, split: Split) -> None:
    """Compares each label map with its image; of both only the head is read.

    Raises:
        UserError: a label map of another size than its image or of several channels, a test image
            or a label map that is none. A training image that cannot be read is for the loader,
            which tolerates a few.
    """
    images, labels = folders(data, name)
    for path in split.labels:
        image = (images / path.relative_to(labels)).with_suffix(split.suffix)
        label_size, mode = _shown(path)
        image_size, _ = _shown(image)
        if label_size is None or (image_size is None and name == data.val):
            raise UserError(f'{image if label_size else path} cannot be read as a picture')
        if mode not in ONE_VALUE:
            read_label(path)  # which says what it is
        if image_size not in (None, label_size):
            sizes = [' x '.join(map(str, size)) for size in (label_size, image_size)]
            raise UserError(
                f'label map {path} has {sizes[0]} pixels, its image {sizes[1]}; a label map needs '
                'a value for each pixel'
            )


def _shown(path: Path) -> tuple[tuple[int, int] | None, str]:
    """Width and height as loaders turn the picture, None when it is none; Pillow's mode."""
    from PIL import ExifTags, Image

    try:
        with Image.open(path) as picture:
            size, mode, exif = picture.size, picture.mode, Image.Exif()
            if 'exif' in picture.info:  # getexif() would decode a PNG for it
                exif.load(picture.info['exif'])
    except (OSError, SyntaxError, ValueError):
        return None, ''
    return (size[::-1] if exif.get(ExifTags.Base.Orientation) in (5, 6, 7, 8) else size), mode


def read_label(path: str | Path) -> 'NDArray':
    """A label map as it is stored, (H, W).

    Raises:
        UserError: the file is none.
    """
    import numpy as np
    from PIL import Image

    try:
        with Image.open(path) as picture:
            label = np.asarray(picture)
    except (OSError, SyntaxError, ValueError) as error:
        raise UserError(f'label map {path} cannot be read ({error})') from error
    if label.ndim != 2:
        raise UserError(f'label map {path} has {label.shape[-1]} channels, expected one')
    if label.dtype.kind == 'f' or label.max(initial=0) > 65535 or label.min(initial=0) < 0:
        raise UserError(f'label map {path} holds {label.dtype} values, no labels')
    return label.astype('uint16' if label.max(initial=0) > IGNORED else 'uint8', copy=False)


def strange_label(path: str | Path, values: list[int], count: int) -> UserError:
    """What to say of labels that are neither one of `count` classes nor ignored."""
    return UserError(
        f'label map {path} holds {values[:5]}, which is no class of {count}; '
        'check classes, ignore_index and reduce_zero_label of the data file'
    )


def check_labels(data: SegmentationData, split: Split) -> None:
    """Looks into some label maps.

    Raises:
        UserError: a label that is neither a class nor ignored, a file that is no label map, or
            nothing but ignored pixels in all of them.
    """
    import numpy as np

    count = len(data.classes)
    known = set(range(count + 1)) if data.reduce_zero_label else set(range(count))
    ignored = {0, IGNORED} if data.reduce_zero_label else {data.ignore_index}
    labelled = False
    step = max(1, len(split.labels) // LABELS_CHECKED)
    for path in split.labels[::step]:
        values = set(np.unique(read_label(path)).tolist())
        strange = values - known - ignored
        if strange:
            raise strange_label(path, sorted(strange), count)
        labelled |= not values <= ignored
    if not labelled:
        raise UserError(
            f'{split.labels[0].parent}: label maps hold ignored pixels alone; check classes, '
            'ignore_index and reduce_zero_label of the data file'
        )


def describe(data: SegmentationData) -> DataCard:
    """Checks both splits.

    Raises:
        UserError: a split is broken, or the label convention cannot be.
    """
    if data.reduce_zero_label and data.ignore_index != IGNORED:
        raise UserError(
            f'ignore_index {data.ignore_index} with reduce_zero_label: unlabelled pixels become '
            '255 then; use ignore_index: 255'
        )
    train, val = read_split(data, data.train), read_split(data, data.val)
    for name, split in ((data.train, train), (data.val, val)):
        check_sizes(data, name, split)
        check_labels(data, split)
    return DataCard(
        name=data.root.name,
        root=str(data.root),
        fingerprint=listing_digest(
            [folder for split in (data.train, data.val) for folder in folders(data, split)]
        ),
        train=len(train.labels),
        val=len(val.labels),
        classes=data.classes,
    )
