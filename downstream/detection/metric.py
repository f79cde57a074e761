"""COCO box and mask AP as an mmengine metric that keeps RLE masks only, never bitmaps."""

import contextlib
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger
from pycocotools import mask as rle
from pycocotools.coco import COCO

from downstream.detection.matching import Matches, match
from downstream.detection.units import DetectionUnits, over_categories, precisions
from downstream.registry import METRICS
from mim_backbones.errors import UserError


@METRICS.register_module()
class InstanceAP(BaseMetric):
    """Box and mask AP in percent, by COCO's rules.

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
        if 0 in self.truth.anns:
            MMLogger.get_current_instance().info(
                f'{ann_file}: annotation id 0 counts as any other; pycocotools takes its match for '
                'none, so that its AP is lower'
            )
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
        matches = match(self.truth, self.entries, images)
        tables = {name: ranges['all'] for name, ranges in matches.tables.items()}
        self.units = DetectionUnits(matches.names, matches.num_gt['all'], tables)
        return average_precision(matches)

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


def average_precision(matches: Matches) -> dict[str, float]:
    """COCO AP in percent: mAP, at IoU 0.5 and 0.75, by area; only what has ground truth."""
    metrics: dict[str, float] = {}
    for name, tables in matches.tables.items():
        for area, table in tables.items():
            once = np.ones((1, len(matches.names)), np.int32)
            precision = 100 * precisions(table, matches.num_gt[area], once)  # (K, T, 1)
            values = {f'_{area}': precision.mean(1)}
            if area == 'all':
                values = {'': precision.mean(1), '_50': precision[:, 0], '_75': precision[:, 5]}
            for end, value in values.items():
                metrics[f'{name}_mAP{end}'] = float(over_categories(value)[0])
    return {key: value for key, value in metrics.items() if not np.isnan(value)}
