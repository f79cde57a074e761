"""What is read of a COCO data set before anything is built: classes, counts, is it whole."""

import json
import math
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from downstream.detection.input.coco_masks import check_masks
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
    """What is kept of an annotation file; names in its order.

    Attributes:
        images: file names.
        classes: category names.
        annotations: how many there are.
        boxes: those that can be trained on or scored: at least a pixel wide and high, inside an
            image of the file, no crowd.
        masks: those with a segmentation: all of them or none.
    """

    file: Path
    images: tuple[str, ...]
    classes: tuple[str, ...]
    annotations: int
    boxes: int
    masks: int


def read_split(root: Path, images: str, annotations: str) -> CocoSplit:
    """Reads a COCO instance file and lists its folder, once for each state of them.

    Raises:
        UserError: not a COCO instance file, no image in it, ids, boxes or masks that do not fit,
            masks of some objects only, or an image that is not there.
    """
    file, folder = root / annotations, root / images
    try:
        stat = file.stat()
    except OSError as error:
        raise UserError(f'{file} cannot be read ({error.strerror})') from error
    split = _read_file(file, stat.st_mtime_ns, stat.st_size)
    missing = _missing(folder, split.images)
    if not missing:
        return split
    if len(missing) > len(split.images) / 2:
        found = min(_listing(folder), default=None)
        raise UserError(
            f'{len(missing)} of {len(split.images)} images of {file} are not in {folder}, among '
            f'them {missing[0]}; {f"it holds {found}" if found else "it has no file"}: are these '
            'the annotations of another split?'
        )
    more = f' (nor are {len(missing) - 1} more)' if len(missing) > 1 else ''
    raise UserError(
        f'{folder / missing[0]}, named in {file}, is not there{more}; fetch it, or take it out of '
        'the file'
    )


def _missing(folder: Path, names: tuple[str, ...]) -> list[str]:
    """By listings: a look at each of 118,000 files takes minutes on a network."""
    there: dict[str, frozenset[str]] = {}
    missing = []
    for name in names:
        below, _, last = name.rpartition('/')
        if below not in there:
            there[below] = _listing(folder / below)
        if last not in there[below]:
            missing.append(name)
    return missing


def _listing(folder: Path) -> frozenset[str]:
    """Names of the files in a folder; none where there is no folder."""
    try:
        return _names(folder, folder.stat().st_mtime_ns)
    except OSError:
        return frozenset()


@lru_cache(maxsize=64)
def _names(folder: Path, changed: int) -> frozenset[str]:
    with os.scandir(folder) as entries:
        return frozenset(entry.name for entry in entries if entry.is_file())


@lru_cache(maxsize=8)
def _read_file(file: Path, changed: int, size: int) -> CocoSplit:
    """COCO's own takes ten seconds and gigabytes to parse; what is kept of it is small."""
    content = read_json(file)
    for key in ('images', 'annotations', 'categories'):
        if not isinstance(content.get(key), list):
            raise UserError(f'{file} is no COCO instance file: it has no list {key!r}')
    if not content['images']:
        raise UserError(f'{file} names no image')
    try:
        images = _by_id(content['images'], 'image')
        categories = _by_id(content['categories'], 'category')
        _by_id(content['annotations'], 'annotation')
        usable = sum(_is_usable(one, images, categories) for one in content['annotations'])
        check_masks(content['annotations'], images)
        names = tuple(_text(image, 'file_name') for image in content['images'])
        classes = tuple(_text(category, 'name') for category in content['categories'])
    except ValueError as error:
        raise UserError(f'{file}: {error}') from error
    twice = next((name for name in classes if classes.count(name) > 1), None)
    if twice is not None:
        raise UserError(f'{file} has two categories called {twice!r}')
    total = len(content['annotations'])
    masks = sum(bool(one.get('segmentation')) for one in content['annotations'])
    if masks not in (0, total):
        raise UserError(
            f'{file}: {total - masks} of {total} annotations have no segmentation; give all of '
            'them one, or none to train and score boxes alone'
        )
    return CocoSplit(file, names, classes, total, usable, masks)


def _by_id(entries: list[Any], kind: str) -> dict[int, dict[str, Any]]:
    """Raises ValueError for an entry without id of its own."""
    found: dict[int, dict[str, Any]] = {}
    for entry in entries:
        own = entry.get('id') if isinstance(entry, dict) else None
        if type(own) is not int:  # a bool is an int elsewhere
            raise ValueError(f'{kind} id {own!r} is no integer; COCO ids are')
        if own in found:
            raise ValueError(f'two {kind} entries have id {own}; give each its own')
        found[own] = entry
    return found


def _is_usable(
    annotation: dict[str, Any],
    images: dict[int, dict[str, Any]],
    categories: dict[int, dict[str, Any]],
) -> bool:
    """Whether mmdet trains on it and AP counts it. Raises ValueError for what cannot be meant."""
    name = f'annotation {annotation["id"]}'
    for key in ('image_id', 'category_id'):
        if type(annotation.get(key)) is not int:
            raise ValueError(f'{name} has {key} {annotation.get(key)!r}; ids are integers')
    if annotation['category_id'] not in categories:
        raise ValueError(f'{name} has category_id {annotation["category_id"]}, of no category')
    image = images.get(annotation['image_id'])
    if image is None:  # of a file that was made smaller by taking images out
        return False
    box, area = annotation.get('bbox'), annotation.get('area')
    width, height = (_number(image.get(key), f'image {image["id"]}: {key}') for key in _SIZE)
    if not isinstance(box, list) or len(box) != 4:
        raise ValueError(f'{name} has bbox {box!r}; a box is four numbers, x, y, width, height')
    x, y, w, h = (_number(value, f'{name}: bbox') for value in box)
    inside = min(x + w, width) > max(x, 0) and min(y + h, height) > max(y, 0)
    large = w >= 1 and h >= 1 and _number(area, f'{name}: area') > 0
    return inside and large and not annotation.get('iscrowd')


_SIZE = ('width', 'height')


def _number(value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f'{what} holds {value!r}, which is no finite number')
    return value


def _text(entry: dict[str, Any], key: str) -> str:
    if not isinstance(entry.get(key), str):
        raise ValueError(f'entry {entry["id"]} has {key} {entry.get(key)!r}, which is no text')
    return entry[key]


def read_json(file: Path, kind: type = dict) -> Any:
    """Raises UserError when the file is no JSON object, or list, as `kind` says."""
    try:
        content = json.loads(file.read_text(encoding='utf-8'))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f'{file} cannot be read as JSON ({error})') from error
    if not isinstance(content, kind):
        what = 'is no COCO instance file: it holds no JSON object'
        if kind is list:
            what = 'is no file of COCO results: it holds no JSON list'
        raise UserError(f'{file} {what}')
    return content


def boxes_alone(data: DetectionData) -> bool:
    """Whether a split has no mask, so that box AP is all that can be had."""
    return not all(split.masks for split in _splits(data))


def describe(data: DetectionData) -> DataCard:
    """Checks both splits; the classes are in label order, that of the training file.

    Raises:
        UserError: a split is broken, has no usable box, or the val split has categories that the
            training split lacks.
    """
    train, val = _splits(data)
    for split in (train, val):
        if not split.annotations:
            raise UserError(f'{split.file} has no annotation')
        if not split.boxes:
            raise UserError(
                f'{split.file}: none of its {split.annotations} boxes can be used; a box is x, y, '
                'width, height in pixels, at least 1 x 1, inside an image of the file, and no crowd'
            )
    unknown = set(val.classes) - set(train.classes)
    if unknown:
        raise UserError(f'{val.file} has categories that {train.file} lacks: {sorted(unknown)}')
    folders = (data.root / data.train_images, data.root / data.val_images)
    without = ' and '.join(split.file.name for split in (train, val) if not split.masks)
    return DataCard(
        name=data.root.name,
        root=str(data.root),
        fingerprint=listing_digest(folders, (train.file, val.file)),
        train=len(train.images),
        val=len(val.images),
        classes=train.classes,
        notes=(f'boxes alone are trained and scored: {without} has no masks',) if without else (),
    )


def _splits(data: DetectionData) -> tuple[CocoSplit, CocoSplit]:
    return (
        read_split(data.root, data.train_images, data.train_annotations),
        read_split(data.root, data.val_images, data.val_annotations),
    )
