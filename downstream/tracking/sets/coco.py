"""COCO as pairs of one picture: each object that is no crowd is a sequence of one frame.

    <root>/annotations/instances_train2017.json, <root>/train2017/

Of any size, as published: the release means to leave out sides of 50 px and less, and does not.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from downstream.tracking.data import Sequence, read_text
from mim_backbones.errors import UserError


class CocoSet:
    """Its objects, by their annotation's id.

    Args:
        root: COCO's folder.
        annotations, images: file and folder in it.
    """

    still = True

    def __init__(
        self,
        root: str,
        annotations: str = 'annotations/instances_train2017.json',
        images: str = 'train2017',
    ) -> None:
        self.root = Path(root)
        self.annotations, self.images = annotations, images
        self._objects: dict[str, tuple[str, list[float]]] = {}

    def check(self) -> None:
        """Nothing is tracked in COCO."""

    def names(self) -> list[str]:
        """Raises UserError for a file that is missing or no annotation of objects."""
        path = self.root / self.annotations
        try:
            content: Any = json.loads(read_text(path))
            files = {image['id']: image['file_name'] for image in content['images']}
            self._objects = {
                str(one['id']): (files[one['image_id']], one['bbox'])
                for one in content['annotations']
                if not one.get('iscrowd')
            }
        except (ValueError, TypeError, KeyError) as error:
            raise UserError(f'{path}: no annotation of objects as COCO has it ({error})') from error
        if not self._objects:
            raise UserError(f'{path}: no object that is no crowd; give the training annotations')
        return list(self._objects)

    def watched(self) -> Iterator[Path]:
        """What changes when an object or a picture does."""
        yield self.root / self.annotations
        yield self.root / self.images

    def read(self, name: str) -> Sequence:
        """Raises UserError for a box that is none."""
        file, box = self._objects[name]
        boxes = np.array([box], dtype=np.float64)
        if boxes.shape != (1, 4):
            raise UserError(f'{self.root / self.annotations}: annotation {name} has no box x,y,w,h')
        # Braces would be taken for the place of a frame's number.
        frames = file.replace('{', '{{').replace('}', '}}')
        return Sequence(name, self.root / self.images, boxes, np.ones(1, bool), frames)
