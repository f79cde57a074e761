"""A tenth of a COCO data set, the same everywhere, without a list to carry along.

An image is in it when the first 8 bytes of SHA-256 of 'SEED IMAGE_ID', as a number, divide by 10:
of train2017 about 11,800 images. The choice depends on the id alone, not on the order of a file,
the machine or a library's generator. A data set of fewer than 1,000 images is taken whole: of its
tenth nothing could be learnt.
"""

import hashlib
from collections.abc import Iterable

from mmdet.datasets import CocoDataset

from downstream.registry import DATASETS

PARTS, WHOLE_BELOW = 10, 1000


def tenth(image_ids: Iterable[int], seed: int = 0) -> list[int]:
    """The ids that are in it, in their order; all of them where there are few."""
    ids = list(image_ids)
    if len(ids) < WHOLE_BELOW:
        return ids
    return [each for each in ids if _number(each, seed) % PARTS == 0]


def _number(image_id: int, seed: int) -> int:
    return int.from_bytes(hashlib.sha256(f'{seed} {image_id}'.encode()).digest()[:8], 'big')


@DATASETS.register_module()
class CocoTenth(CocoDataset):
    """mmdet's COCO data set, of which a tenth is left.

    Args:
        part: seed of the tenth, a part of the protocol.
    """

    def __init__(self, *args: object, part: int = 0, **kwargs: object) -> None:
        self.part = part
        super().__init__(*args, **kwargs)

    def filter_data(self) -> list[dict]:
        """What mmdet leaves of the tenth: `filter_cfg` does not change who is in it."""
        chosen = set(tenth([info['img_id'] for info in self.data_list], self.part))
        return [info for info in super().filter_data() if info['img_id'] in chosen]
