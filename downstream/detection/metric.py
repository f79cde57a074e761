"""COCO box and mask AP as an mmengine metric that keeps RLE masks only, never bitmaps."""

import contextlib
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from pycocotools import mask as rle
from pycocotools.coco import COCO

from downstream.detection.units import DetectionUnits
from downstream.registry import METRICS
from mim_backbones.errors import UserError

IOU_TYPES = {'bbox': 'box', 'segm': 'mask'}
# Places in COCOeval's summary, and the names mmdet gives them.
STATS = {'mAP': 0, 'mAP_50': 1, 'mAP_75': 2, 'mAP_s': 3, 'mAP_m': 4, 'mAP_l': 5}


@METRICS.register_module()
class InstanceAP(BaseMetric):
    """Box and mask AP in percent, evaluated by faster-coco-eval.

    After `evaluate`, `units` holds the per-image matches (statistics for intervals) and
    `entries` the predictions as COCO result entries.

    Args:
        ann_file: COCO JSON of the images that are evaluated.
        classes: names in label order; by default as the dataset tells.
    """

    def __init__(self, ann_file: str, classes: Sequence[str] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its progress
            self.truth = COCO(ann_file)
        if not self.truth.anns:
            raise UserError(f'{ann_file} has no annotation; AP needs at least one')
        self.classes = classes
        self.units: DetectionUnits | None = None
        self.entries: dict[str, list[dict[str, Any]]] = {}

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        for sample in data_samples:
            found = sample['pred_instances']
            corners = found['bboxes'].cpu().numpy().astype(np.float64)
            self.results.append(
                {
                    'image_id': sample['img_id'],
                    'boxes': np.hstack([corners[:, :2], corners[:, 2:] - corners[:, :2]]),
                    'scores': found['scores'].cpu().numpy(),
                    'labels': found['labels'].cpu().numpy(),
                    'masks': encode_masks(found['masks']) if 'masks' in found else None,
                }
            )

    def compute_metrics(self, results: list[dict[str, Any]]) -> dict[str, float]:
        self.entries = coco_entries(results, self._category_ids())
        images = sorted(result['image_id'] for result in results)
        self.units = DetectionUnits.from_coco(self.truth, self.entries, image_ids=images)
        metrics: dict[str, float] = {}
        for kind, entries in self.entries.items():
            metrics |= average_precision(self.truth, entries, kind, images)
        return metrics

    def _category_ids(self) -> list[int]:
        """Category id of each label, by name: train and val files may number them differently."""
        classes = self.classes or self.dataset_meta['classes']
        ids = {category['name']: category['id'] for category in self.truth.cats.values()}
        return [ids[name] for name in classes]


def encode_masks(masks: Any) -> list[dict[str, Any]]:
    """(N, H, W) bool tensor or array -> N COCO RLEs whose counts are text."""
    array = masks.cpu().numpy() if hasattr(masks, 'cpu') else np.asarray(masks)
    encoded = rle.encode(np.asfortranarray(array.transpose(1, 2, 0).astype(np.uint8)))
    return [{**one, 'counts': one['counts'].decode()} for one in encoded]


def coco_entries(
    results: list[dict[str, Any]], category_ids: Sequence[int]
) -> dict[str, list[dict[str, Any]]]:
    """Per-image predictions -> COCO result entries per IoU type, 'segm' where there are masks."""
    entries: dict[str, list[dict[str, Any]]] = {'bbox': []}
    if any(result['masks'] is not None for result in results):
        entries['segm'] = []
    for result in results:
        for i, (box, score, label) in enumerate(
            zip(result['boxes'], result['scores'], result['labels'])
        ):
            head = {
                'image_id': result['image_id'],
                'category_id': category_ids[int(label)],
                'score': float(score),
            }
            entries['bbox'].append({**head, 'bbox': box.tolist()})
            if 'segm' in entries:
                entries['segm'].append({**head, 'segmentation': result['masks'][i]})
    return entries


def average_precision(
    truth: COCO, entries: list[dict[str, Any]], kind: str, image_ids: Sequence[int]
) -> dict[str, float]:
    """COCO AP in percent: mAP, at IoU 0.5 and 0.75, by area; a figure without ground truth is left
    out.

    Args:
        kind: 'bbox' or 'segm'.
    """
    from faster_coco_eval import COCO as FastCOCO
    from faster_coco_eval import COCOeval_faster

    name = IOU_TYPES[kind]
    if not entries:
        return {f'{name}_mAP': 0.0, f'{name}_mAP_50': 0.0}
    fast = FastCOCO(truth.dataset)
    with contextlib.redirect_stdout(io.StringIO()):
        found = fast.loadRes([dict(entry) for entry in entries])
        evaluator = COCOeval_faster(fast, found, kind, print_function=lambda *_: None)
        evaluator.params.imgIds = list(image_ids)
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    values = {f'{name}_{key}': 100 * float(evaluator.stats[i]) for key, i in STATS.items()}
    return {key: value for key, value in values.items() if value >= 0}
