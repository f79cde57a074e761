"""mIoU as an mmengine metric: one joint histogram per image, no prediction is kept."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.evaluator import BaseMetric

from downstream.registry import METRICS
from downstream.segmentation.confusion import pixel_counts
from downstream.segmentation.units import SegmentationUnits
from mim_backbones.errors import UserError


@METRICS.register_module()
class PixelIoU(BaseMetric):
    """mIoU, mAcc and aAcc in percent. After `evaluate`, `units` holds the counts per image.

    Args:
        ignore_index: label value that counts nowhere.
    """

    def __init__(self, ignore_index: int = 255, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.ignore_index = ignore_index
        self.units: SegmentationUnits | None = None

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Raises UserError, naming the file, for a label that is no class."""
        for sample in data_samples:
            prediction = sample['pred_sem_seg']['data'].squeeze(0)
            label = sample['gt_sem_seg']['data'].squeeze(0).to(prediction.device)
            classes = len(self.dataset_meta['classes'])
            try:
                counts = pixel_counts(prediction, label, classes, self.ignore_index)
            except ValueError as error:
                raise UserError(f'{sample["seg_map_path"]}: {error}') from error
            self.results.append((Path(sample['img_path']).stem, counts))

    def compute_metrics(self, results: list[tuple[str, Any]]) -> dict[str, float]:
        names, counts = zip(*results)
        self.units = SegmentationUnits(names, *(list(each) for each in zip(*counts)))
        return self.units.observed()
