"""Random ground truth and detections of boxes and masks, and what pycocotools makes of them."""

import io
from contextlib import redirect_stdout

import numpy as np
from pycocotools import mask as rle
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from downstream.detection.scoring.matching import match
from downstream.detection.scoring.overlaps import overlaps_of_image

SIDE = 64
PLACES = ('mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l', 'AR_1', 'AR_10', 'AR')
FIGURES = (*PLACES[:6], 'AR')


def random_world(seed, images=12, categories=3, first_id=1, steps=10**6, grid=1):
    """Ground truth and detections of boxes and masks, with crowds, misses and stray detections.

    The last of several categories has no ground truth. steps: how many scores there are; grid:
    what the sides of boxes are multiples of.
    """
    rng = np.random.default_rng(seed)
    truth, found = [], {'bbox': [], 'segm': []}
    for image in range(1, images + 1):
        for _ in range(rng.integers(0, 6)):
            category = int(rng.integers(1, max(categories, 2)))
            box = random_box(rng)
            crowd = int(rng.random() < 0.2)
            truth.append(
                {
                    'id': len(truth) + first_id,
                    'image_id': image,
                    'category_id': category,
                    'bbox': box,
                    'area': box[2] * box[3],
                    'iscrowd': crowd,
                    'segmentation': rectangle(box),
                }
            )
            for _ in range(rng.integers(0, 4)):
                detect(found, rng, image, category, shaken(rng, box))
        for _ in range(rng.integers(0, 4)):
            detect(found, rng, image, int(rng.integers(1, categories + 1)), random_box(rng))
    for entry in (*truth, *found['bbox'], *found['segm']):
        if 'score' in entry:
            entry['score'] = np.ceil(entry['score'] * steps) / steps
        box = entry.get('bbox') or rle.toBbox(entry['segmentation']).tolist()
        box = [int(np.ceil(side / grid)) * grid for side in box]
        entry |= {'bbox': box} if 'bbox' in entry else {}
        entry |= {'segmentation': rectangle(box)} if 'segmentation' in entry else {}
        entry |= {'area': box[2] * box[3]} if 'area' in entry else {}
    return dataset(truth, range(1, images + 1), categories), found


def renumbered(coco, found, gap):
    """The same with gaps between the ids of images and of categories."""
    for entry in (*coco.dataset['annotations'], *found['bbox'], *found['segm']):
        entry['image_id'] *= gap
        entry['category_id'] = 3 + gap * entry['category_id']
    for image in coco.dataset['images']:
        image['id'] *= gap
    for category in coco.dataset['categories']:
        category['id'] = 3 + gap * category['id']
    with redirect_stdout(io.StringIO()):
        coco.createIndex()
    return coco, found


def matched(coco, found, images=None):
    """The matches of result entries per 'bbox' and / or 'segm', as they come image by image."""
    number = {category: i for i, category in enumerate(sorted(coco.cats))}
    records = {}
    for image in images or coco.imgs:
        own = {kind: [e for e in each if e['image_id'] == image] for kind, each in found.items()}
        entries = next(iter(own.values()))
        records[image] = overlaps_of_image(
            coco,
            image,
            np.array([number[e['category_id']] for e in entries], int),
            np.array([e['score'] for e in entries], float),
            np.array([e['bbox'] for e in own['bbox']], float).reshape(-1, 4)
            if 'bbox' in own
            else None,
            [e['segmentation'] for e in own['segm']] if 'segm' in own else None,
        )
    return match(coco, records)


def scored(coco, found, images=None):
    return matched(coco, found, images).units()


def random_box(rng):
    x, y = rng.integers(0, SIDE - 20, 2)
    w, h = rng.integers(6, 20, 2)
    return [int(x), int(y), int(w), int(h)]


def shaken(rng, box):
    shift = rng.integers(-2, 3, 4)
    x, y, w, h = np.maximum(np.array(box) + shift, [0, 0, 2, 2])
    return [int(x), int(y), int(w), int(h)]


def rectangle(box, side=SIDE):
    x, y, w, h = box
    mask = np.zeros((side, side), np.uint8, order='F')
    mask[y : y + h, x : x + w] = 1
    mask[y : y + h // 2, x : x + w // 3] = 0  # so that masks and boxes score differently
    return rle.encode(mask)


def detect(found, rng, image, category, box):
    entry = {'image_id': image, 'category_id': category, 'score': float(rng.random())}
    found['bbox'].append({**entry, 'bbox': box})
    found['segm'].append({**entry, 'segmentation': rectangle(box)})


def dataset(truth, images, categories, side=SIDE):
    coco = COCO()
    coco.dataset = {
        'info': {},
        'images': [{'id': image, 'height': side, 'width': side} for image in images],
        'annotations': truth,
        'categories': [{'id': k, 'name': str(k)} for k in range(1, categories + 1)],
    }
    with redirect_stdout(io.StringIO()):
        coco.createIndex()
    return coco


def oracle(coco, found, wanted=('mAP', 'mAP_50')):
    """pycocotools' own AP, in percent."""
    scores = {}
    for kind, name in (('bbox', 'box'), ('segm', 'mask')):
        with redirect_stdout(io.StringIO()):
            evaluator = COCOeval(coco, coco.loadRes([dict(e) for e in found[kind]]), kind)
            evaluator.evaluate()
            evaluator.accumulate()
            evaluator.summarize()
        scores |= {f'{name}_{k}': 100 * evaluator.stats[PLACES.index(k)] for k in wanted}
    return scores


def repeated(coco, found, weights):
    """The data set in which image i really occurs weights[i] times, copies side by side."""
    truth, copies = [], {kind: [] for kind in found}
    image = 0
    for source, weight in enumerate(weights, start=1):
        for _ in range(weight):
            image += 1
            for ann in coco.dataset['annotations']:
                if ann['image_id'] == source:
                    truth.append({**ann, 'id': len(truth) + 1, 'image_id': image})
            for kind, entries in found.items():
                copies[kind] += [
                    {**e, 'image_id': image} for e in entries if e['image_id'] == source
                ]
    return dataset(truth, range(1, image + 1), len(coco.dataset['categories'])), copies


def enlarged(coco, found, factors=(1, 4, 8)):
    """Images 1, 4, 8 times as large in turn: small, medium and large objects."""
    truth = []
    for entry in [*coco.dataset['annotations'], *found['bbox'], *found['segm']]:
        factor = factors[entry['image_id'] % len(factors)]
        box = entry.get('bbox') or rle.toBbox(entry['segmentation']).tolist()
        box = [round(factor * side) for side in box]
        entry |= {'bbox': box} if 'bbox' in entry else {}
        if 'segmentation' in entry:
            entry['segmentation'] = rectangle(box, SIDE * factor)
        if 'area' in entry:
            truth.append({**entry, 'area': box[2] * box[3]})
    return dataset(truth, list(coco.imgs), len(coco.cats), SIDE * max(factors)), found
