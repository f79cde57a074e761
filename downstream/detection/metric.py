"""COCO box and mask AP as an mmengine metric that keeps no mask: overlaps alone, image by image."""

import contextlib
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.logging import MMLogger
from pycocotools import mask as rle
from pycocotools.coco import COCO

from downstream.detection.scoring.matching import match
from downstream.detection.scoring.overlaps import ImageDetections, overlaps_of_image
from downstream.detection.scoring.summary import summary
from downstream.detection.units import DetectionUnits
from downstream.evaluation.gathered_metric import GatheredMetric
from downstream.registry import METRICS
from mim_backbones.errors import UserError

ID_0_COUNTS = (
    'annotation id 0 counts as any other; pycocotools takes its match for none, so that its AP is '
    'lower'
)


@METRICS.register_module()
class InstanceAP(GatheredMetric):
    """Box and mask AP in percent, by COCO's rules.

    After `evaluate`, `units` holds the per-image matches (statistics for intervals), in the first
    process.

    Args:
        ann_file: COCO JSON of the images that are evaluated.
        classes: names in label order; by default as the dataset tells.
    """

    def __init__(self, ann_file: str, classes: Sequence[str] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.truth = read_truth(ann_file)
        if 0 in self.truth.anns:
            MMLogger.get_current_instance().info(f'{ann_file}: {ID_0_COUNTS}')
        self.classes = classes
        self.units: DetectionUnits | None = None

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Masks may be bitmaps (N, H, W) or COCO run-length encodings."""
        categories = self._categories()
        for sample in data_samples:
            found = sample['pred_instances']
            corners = found['bboxes'].cpu().numpy().astype(np.float64)
            masks = found.get('masks')
            if masks is not None and not isinstance(masks, list):
                masks = encode_masks(masks)
            record = overlaps_of_image(
                self.truth,
                sample['img_id'],
                categories[found['labels'].cpu().numpy().astype(int)],
                found['scores'].cpu().numpy(),
                np.hstack([corners[:, :2], corners[:, 2:] - corners[:, :2]]),
                masks,
            )
            self.results.append((sample['img_id'], record))

    def compute_metrics(self, results: list[tuple[int, ImageDetections]]) -> dict[str, float]:
        matches = match(self.truth, dict(results))
        self.units = matches.units()
        return summary(matches)

    def _categories(self) -> np.ndarray:
        """Index of each label's category in the file, by name: files may number them otherwise.

        -1 where the file lacks it; nothing of it is scored then.
        """
        classes = self.classes or self.dataset_meta['classes']
        index = {self.truth.cats[one]['name']: i for i, one in enumerate(sorted(self.truth.cats))}
        return np.array([index.get(name, -1) for name in classes])


def read_truth(file: str) -> COCO:
    """The annotations, indexed.

    Raises:
        UserError: there is none.
    """
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its progress
        truth = COCO(file)
    if not truth.anns:
        raise UserError(f'{file} has no annotation; AP needs at least one')
    return truth


def encode_masks(masks: Any) -> list[dict[str, Any]]:
    """(N, H, W) bool tensor or array -> N COCO run-length encodings."""
    array = masks.cpu().numpy() if hasattr(masks, 'cpu') else np.asarray(masks)
    return rle.encode(np.asfortranarray(array.transpose(1, 2, 0).astype(np.uint8)))
