"""What is read of a COCO data set before anything is built: classes, counts, is it whole."""

import json
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from downstream.evaluation.fingerprint import listing_digest
from downstream.task import DataCard
from mim_backbones.errors import UserError


@dataclass(frozen=True)
class DetectionData:
    """COCO layout: image folders and instance JSONs under `root`."""

    root: Path
    train_images: str = 'train2017'
    train_annotations: str = 'annotations/instances_train2017.json'
    val_images: str = 'val2017'
    val_annotations: str = 'annotations/instances_val2017.json'

    def wanted(self) -> list[Path]:
        """What must exist."""
        names = (self.train_images, self.train_annotations, self.val_images, self.val_annotations)
        return [self.root, *(self.root / name for name in names)]


@dataclass(frozen=True)
class CocoSplit:
    """Image file names and category names, in the order of the annotation file."""

    file: Path
    images: tuple[str, ...]
    classes: tuple[str, ...]
    annotations: int


def read_split(root: Path, images: str, annotations: str) -> CocoSplit:
    """Reads a COCO instance file, once for each state of it, and looks for its images.

    Raises:
        UserError: not a COCO instance file, no image in it, or an image that is not there.
    """
    file, folder = root / annotations, root / images
    try:
        stat = file.stat()
    except OSError as error:
        raise UserError(f'{file} cannot be read ({error.strerror})') from error
    split = _read_file(file, stat.st_mtime_ns, stat.st_size)
    # One listing instead of a look at each file; names with folders are looked for one by one.
    there = set(os.listdir(folder)) if folder.is_dir() else set()
    for name in split.images:
        if name not in there and not (folder / name).is_file():
            raise UserError(f'{folder / name}, named in {file}, is not there')
    return split


@lru_cache(maxsize=8)
def _read_file(file: Path, changed: int, size: int) -> CocoSplit:
    """COCO's own takes ten seconds and gigabytes to parse; what is kept of it is small."""
    content = read_json(file)
    for key in ('images', 'annotations', 'categories'):
        if not isinstance(content.get(key), list):
            raise UserError(f'{file} is no COCO instance file: it has no list {key!r}')
    names = tuple(str(image['file_name']) for image in content['images'])
    if not names:
        raise UserError(f'{file} names no image')
    classes = tuple(str(category['name']) for category in content['categories'])
    return CocoSplit(file, names, classes, len(content['annotations']))


def read_json(file: Path) -> dict[str, Any]:
    """Raises UserError when the file is no JSON object."""
    try:
        content = json.loads(file.read_text(encoding='utf-8'))
    except (OSError, ValueError) as error:
        raise UserError(f'{file} cannot be read as JSON ({error})') from error
    if not isinstance(content, dict):
        raise UserError(f'{file} is no COCO instance file: it holds no JSON object')
    return content


def describe(data: DetectionData) -> DataCard:
    """Checks both splits; the classes are in label order, that of the training file.

    Raises:
        UserError: a split is broken, has no annotation, or the val split has categories that the
            training split lacks.
    """
    train = read_split(data.root, data.train_images, data.train_annotations)
    val = read_split(data.root, data.val_images, data.val_annotations)
    for split in (train, val):
        if not split.annotations:
            raise UserError(f'{split.file} has no annotation')
    unknown = set(val.classes) - set(train.classes)
    if unknown:
        raise UserError(f'{val.file} has categories that {train.file} lacks: {sorted(unknown)}')
    folders = (data.root / data.train_images, data.root / data.val_images)
    return DataCard(
        name=data.root.name,
        root=str(data.root),
        fingerprint=listing_digest(folders, (train.file, val.file)),
        train=len(train.images),
        val=len(val.images),
        classes=train.classes,
    )
