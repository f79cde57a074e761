"""Detections that were made elsewhere: a JSON of COCO result entries, checked and scored.

    [{"image_id": 7, "category_id": 3, "score": 0.9, "bbox": [x, y, width, height],
      "segmentation": {"size": [height, width], "counts": "..."}}, ...]

Boxes are scored when every entry has one, masks when every entry has one. An image without an entry
counts as one in which nothing was found.
"""

import math
from collections import defaultdict
from operator import index
from pathlib import Path
from typing import Any

import numpy as np
from faster_coco_eval import mask_api_new_cpp as checked  # its C++ looks where it reads
from pycocotools import mask as rle
from pycocotools.coco import COCO

from downstream.detection.data import DetectionData, read_json, read_split
from downstream.detection.metric import ID_0_COUNTS, read_truth
from downstream.detection.scoring.matching import match
from downstream.detection.scoring.overlaps import overlaps_of_image
from downstream.detection.scoring.summary import summary
from downstream.results.units import Array
from downstream.task import Evaluation
from mim_backbones.errors import UserError


def score_results(data: DetectionData, file: Path) -> Evaluation:
    """Box and mask AP of a results file on the val split.

    Raises:
        UserError: no results file, or an entry that cannot be meant; names both.
    """
    if file.is_dir():
        raise UserError(f'{file} is a folder; --predictions takes one JSON file of COCO results')
    split = read_split(data.root, data.val_images, data.val_annotations)
    truth = read_truth(str(split.file))
    entries = read_json(file, list)
    keys = [key for key in ('bbox', 'segmentation') if all(key in e for e in _dicts(file, entries))]
    if not keys:
        raise UserError(
            f'{file}: neither every entry has a bbox nor every entry a segmentation; AP needs one'
        )
    notes = [f'{split.file}: {ID_0_COUNTS}'] if 0 in truth.anns else []
    if not split.masks and 'segmentation' in keys:
        keys.remove('segmentation')
        notes.append(f'boxes alone are scored: {split.file.name} has no masks')
        if not keys:
            raise UserError(f'{file} has masks alone, {split.file} boxes alone')
    own = defaultdict(list)
    for place, entry in enumerate(entries):
        own[_image(file, place, entry, truth)].append((place, entry))
    found = {}
    for image in truth.imgs:
        columns = _columns(file, own.pop(image, []), truth.imgs[image], truth, keys)
        found[image] = overlaps_of_image(truth, image, *columns)
    without = sum(not len(each.score) for each in found.values())
    if without:
        notes.append(
            f'{without} of {len(found)} images have no detection in {file}; there nothing was found'
        )
    matches = match(truth, found)
    return Evaluation(summary(matches), matches.units(), notes=tuple(notes))


def _dicts(file: Path, entries: list[Any]) -> list[dict[str, Any]]:
    for place, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise UserError(f'{file}: entry {place} is no JSON object; COCO results are')
    if not entries:
        raise UserError(f'{file} holds no detection')
    return entries


def _image(file: Path, place: int, entry: dict[str, Any], truth: COCO) -> int:
    image, category = entry.get('image_id'), entry.get('category_id')
    if type(image) is not int or image not in truth.imgs:
        raise UserError(
            f'{file}: entry {place} is of image_id {image!r}, which the annotations do not name; '
            'give the predictions of the val split'
        )
    if type(category) is not int or category not in truth.cats:
        raise UserError(
            f'{file}: entry {place} has category_id {category!r}, which is none of the '
            f"annotations' {len(truth.cats)}; give their ids, not label numbers"
        )
    score = entry.get('score')
    if not _is_number(score):
        raise UserError(f'{file}: entry {place} has score {score!r}, which is no finite number')
    return image


def _columns(
    file: Path,
    numbered: list[tuple[int, dict[str, Any]]],
    image: dict[str, Any],
    truth: COCO,
    keys: list[str],
) -> tuple[Array, Array, Array | None, list[dict[str, Any]] | None]:
    """One image's categories, scores, boxes and masks."""
    number = {category: i for i, category in enumerate(sorted(truth.cats))}
    categories = np.array([number[entry['category_id']] for _, entry in numbered], np.int32)
    scores = np.array([entry['score'] for _, entry in numbered], np.float64)
    boxes = masks = None
    if 'bbox' in keys:
        boxes = np.array([_box(file, *each) for each in numbered], np.float64).reshape(-1, 4)
    if 'segmentation' in keys:
        masks = [_mask(file, *each, image) for each in numbered]
    return categories, scores, boxes, masks


def _box(file: Path, place: int, entry: dict[str, Any]) -> list[float]:
    box = entry['bbox']
    if not isinstance(box, list) or len(box) != 4 or not all(map(_is_number, box)):
        raise UserError(
            f'{file}: entry {place} has bbox {box!r}; a box is four finite numbers, x, y, width, '
            'height'
        )
    if min(box[2:]) < 0:
        raise UserError(f'{file}: entry {place} has bbox {box!r}, whose width or height is below 0')
    return box


def _mask(file: Path, place: int, entry: dict[str, Any], image: dict[str, Any]) -> dict[str, Any]:
    """As a compressed encoding."""
    mask, where = entry['segmentation'], f'{file}: entry {place}'
    counts = mask.get('counts') if isinstance(mask, dict) else None
    if not isinstance(counts, str | list):
        raise UserError(f'{where} has no run-length encoded segmentation with size and counts')
    size = [image['height'], image['width']]
    if mask.get('size') != size:
        raise UserError(
            f'{where} has a mask of size {mask.get("size")!r}; its image is height x width {size}'
        )
    try:
        if isinstance(counts, list):
            mask = rle.frPyObjects({**mask, 'counts': [index(run) for run in counts]}, *size)
        runs = checked.toUncompressedRLE([mask])[0]['counts']
    except (ValueError, TypeError, OverflowError, RuntimeError) as error:
        raise UserError(f'{where} has a broken run-length encoding ({error})') from error
    if sum(runs) != size[0] * size[1]:
        raise UserError(
            f'{where} has a broken run-length encoding ({sum(runs)} pixels of {size[0] * size[1]})'
        )
    return mask


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and type(value) is not bool and math.isfinite(value)
