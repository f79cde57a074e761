"""COCO: coco/{train2017,val2017}/*.jpg and annotations/instances_{train2017,val2017}.json."""

import json
from pathlib import Path

from downstream.synthetic.annotate import coco_annotations
from downstream.synthetic.bank import texture_bank
from downstream.synthetic.classes import OBJECT_CLASSES, object_label
from downstream.synthetic.layouts.item import Item, numbered, random_stream, write_jpeg
from downstream.synthetic.render import render
from downstream.synthetic.sampler import STILL_LIFE, draw_scene
from downstream.synthetic.scene import Scene
from downstream.synthetic.sizes import WorldSize

ROOT = 'coco'
SPLITS = ('train2017', 'val2017')


def items(size: WorldSize) -> list[Item]:
    return [
        *numbered('detection', SPLITS[0], size.detection_train),
        *numbered('detection', SPLITS[1], size.detection_val),
    ]


def draw(seed: int, split: str, index: int) -> Scene:
    """The scene of one picture."""
    return draw_scene(random_stream(seed, f'{ROOT}/{split}', index), STILL_LIFE)


def write(root: Path, item: Item, size: WorldSize, seed: int) -> list[dict]:
    """Returns the picture's annotations."""
    scene = draw(seed, item.split, item.index)
    side = size.detection_px
    rendering = render(scene, (side, side), texture_bank(seed))
    path = root / ROOT / item.split / _file_name(item.index)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_jpeg(path, rendering.image)
    return coco_annotations(scene, rendering)


def finish(root: Path, size: WorldSize, records: list[tuple[Item, list[dict]]]) -> dict:
    section = {'root': ROOT}
    for split, use in zip(SPLITS, ('train', 'val')):
        content = _instances(
            [(item.index, found) for item, found in records if item.split == split],
            size.detection_px,
        )
        path = root / ROOT / 'annotations' / f'instances_{split}.json'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
        section[f'{use}_images'] = split
        section[f'{use}_annotations'] = f'annotations/{path.name}'
    return section


def _file_name(index: int) -> str:
    return f'{index + 1:012d}.jpg'


def _instances(pictures: list[tuple[int, list[dict]]], side: int) -> dict:
    """The content of an instances file. Picture ids count from 1 as the file names do."""
    images: list[dict] = []
    annotations: list[dict] = []
    for index, found in pictures:
        image = {'id': index + 1, 'file_name': _file_name(index), 'width': side, 'height': side}
        images.append(image)
        for annotation in found:
            annotations.append({'id': len(annotations) + 1, 'image_id': index + 1, **annotation})
    categories = [
        {'id': object_label(i), 'name': c.name, 'supercategory': c.shape}
        for i, c in enumerate(OBJECT_CLASSES)
    ]
    info = {'description': 'mimbench synthetic world'}
    return {
        'info': info,
        'licenses': [],
        'images': images,
        'annotations': annotations,
        'categories': categories,
    }
