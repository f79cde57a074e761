"""Ground truth and predictions of real sizes and counts, drawn by seed, without pictures.

COCO: 640 x 480, 80 categories with gaps between their ids, 2.9 categories and 7.3 objects an image
as in val2017, one in a hundred a crowd; up to 100 detections an image, some near the objects and
most beside them, their masks polygons of 12 to 32 corners as run-length encodings. ADE20K: 150
classes, 683 x 512, fifteen regions a picture, three tenths of it predicted otherwise.

Each file of predictions is a row of pickles, one a picture, so that a reader holds one at a time,
as an evaluator does that is handed a model's batches.
"""

import json
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator
from pycocotools import mask as rle

from downstream.results.units import Array

WIDTH, HEIGHT = 640, 480
CATEGORIES, OBJECTS, MORE_CATEGORIES, DETECTIONS = 80, 7.3, 1.9, 100
CROWDS = 0.01
CLASSES, REGIONS, OTHERWISE = 150, 15, 0.3
MAP, LOGITS = (512, 683), (128, 128)  # height, width

TRUTH, INSTANCES, MAPS = 'instances.json', 'instances.pkl', 'maps.pkl'
NAMES = tuple(f'category {k}' for k in range(CATEGORIES))


def write_instances(folder: Path, images: int, seed: int = 0) -> None:
    """TRUTH, COCO's file of annotations; INSTANCES: image id, corners, scores, labels, masks."""
    rng = np.random.default_rng(seed)
    annotations: list[dict[str, Any]] = []
    with (folder / INSTANCES).open('wb') as stream:
        for image in range(images):
            own, found = _instances(rng, 7 + 3 * image)
            for each in own:
                annotations.append({**each, 'id': len(annotations) + 1})
            pickle.dump(found, stream)
    size = {'width': WIDTH, 'height': HEIGHT}
    content = {
        'images': [{'id': 7 + 3 * i, 'file_name': f'{i}.jpg', **size} for i in range(images)],
        'annotations': annotations,
        'categories': [{'id': _category_id(k), 'name': name} for k, name in enumerate(NAMES)],
    }
    (folder / TRUTH).write_text(json.dumps(content))


def write_maps(folder: Path, images: int, seed: int = 0) -> None:
    """MAPS: predicted and true labels, (H, W) uint8 each; 255 is to be ignored."""
    rng = np.random.default_rng(seed)
    with (folder / MAPS).open('wb') as stream:
        for _ in range(images):
            label, other = _regions(rng), _regions(rng)
            noise = cv2.resize(rng.random((16, 20), np.float32), MAP[::-1])
            prediction = np.where(noise < np.quantile(noise, OTHERWISE), other, label)
            label[rng.integers(MAP[0]) :: 32] = 255
            pickle.dump((prediction, label), stream)


def draw_logits(label: Array, rng: Generator) -> Array:
    """(H, W) labels -> (1, CLASSES, h, w) float32 logits whose largest are mostly those."""
    small = cv2.resize(label, LOGITS[::-1], interpolation=cv2.INTER_NEAREST)
    logits = rng.standard_normal((1, CLASSES, *LOGITS), np.float32)
    rows, columns = np.indices(LOGITS)
    logits[0, np.minimum(small, CLASSES - 1), rows, columns] += 5
    return logits


def read(file: Path) -> Iterator[Any]:
    """The pickles of a file that this module wrote, one after the other."""
    with file.open('rb') as stream:
        while stream.peek(1):
            yield pickle.load(stream)


def _category_id(label: int) -> int:
    return label + 1 + label // 10


def _instances(rng: Generator, image: int) -> tuple[list[dict[str, Any]], tuple[Any, ...]]:
    """One image's annotations without ids, and its detections."""
    present = rng.choice(CATEGORIES, 1 + rng.poisson(MORE_CATEGORIES), replace=False)
    truth, found = [], []
    for _ in range(rng.poisson(OBJECTS)):
        radius = float(np.exp(rng.normal(3.6, 0.9)).clip(4, 220))
        corners = _outline(rng, radius)
        mask = _filled(corners)
        if not rle.area(mask):
            continue
        label, crowd = int(rng.choice(present)), bool(rng.random() < CROWDS)
        encoded = {'size': mask['size'], 'counts': mask['counts'].decode()}
        truth.append(
            {
                'image_id': image,
                'category_id': _category_id(label),
                'bbox': rle.toBbox(mask).tolist(),
                'area': float(rle.area(mask)),
                'iscrowd': int(crowd),
                'segmentation': encoded if crowd else [corners.round(2).ravel().tolist()],
            }
        )
        for _ in range(int(rng.integers(0, 6))):
            moved = corners + rng.normal(0, 0.1 * radius, corners.shape)
            other = rng.random() < 0.2
            guess = int(rng.integers(CATEGORIES)) if other else label
            found.append((_filled(moved), guess, rng.beta(2, 2)))
    while len(found) < DETECTIONS:
        radius = float(np.exp(rng.normal(3.3, 0.9)).clip(3, 200))
        near = rng.random() < 0.6
        guess = int(rng.choice(present) if near else rng.integers(CATEGORIES))
        found.append((_filled(_outline(rng, radius)), guess, rng.beta(1, 6)))
    masks, labels, scores = zip(*found[:DETECTIONS])
    boxes = rle.toBbox(list(masks))
    boxes[:, 2:] += boxes[:, :2]
    arrays = boxes.astype(np.float32), np.array(scores, np.float32), np.array(labels)
    return truth, (image, *arrays, list(masks))


def _outline(rng: Generator, radius: float) -> Array:
    """(N, 2) corners of a ragged shape, some of it perhaps outside the picture."""
    angle = np.linspace(0, 2 * np.pi, int(rng.integers(12, 33)), endpoint=False)
    reach = radius * (1 + 0.25 * rng.standard_normal(len(angle))).clip(0.4, 1.6)
    around = np.stack([np.cos(angle), np.sin(angle) * rng.uniform(0.5, 1.5)], 1)
    return rng.uniform((0, 0), (WIDTH, HEIGHT)) + around * reach[:, None]


def _filled(corners: Array) -> dict[str, Any]:
    inside = corners.clip(0, (WIDTH, HEIGHT))
    return rle.frPyObjects([inside.ravel().tolist()], HEIGHT, WIDTH)[0]


def _regions(rng: Generator) -> Array:
    """(H, W) uint8: labels of smooth regions."""
    fields = rng.standard_normal((8, 10, REGIONS)).astype(np.float32)
    fields = cv2.resize(fields, (MAP[1] // 4, MAP[0] // 4), interpolation=cv2.INTER_CUBIC)
    classes = rng.choice(CLASSES, REGIONS, replace=False).astype(np.uint8)
    return cv2.resize(classes[fields.argmax(2)], MAP[::-1], interpolation=cv2.INTER_NEAREST)
