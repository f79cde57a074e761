"""COCO box and mask AP from per-image match tables; equal to pycocotools at weights 1.

Area range all, 100 detections per image and category, IoU thresholds 0.50, 0.55, ..., 0.95. AP is
the mean over thresholds and over the categories that have ground truth.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np

from downstream.detection.scoring.average_precision import weighted_ap
from downstream.results.units import Array, UnitScores, check_weights

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
IOU_TYPES = ('box', 'mask')
BLOCK = 128  # weightings scored together: keeps the running sums in the processor's cache


@dataclass(frozen=True)
class MatchTable:
    """All detections of one IoU type, in any order that keeps each image's by falling score.

    Ties of the score keep the given order, as pycocotools' stable sort does.
    """

    image: Array  # (N,) int, index into the units
    category: Array  # (N,) int, index into the categories
    score: Array  # (N,) float64
    matched: Array  # (N, T) bool, matched to a ground truth at threshold t
    ignored: Array  # (N, T) bool, counted neither right nor wrong at threshold t

    def __post_init__(self) -> None:
        count = len(self.image)
        flags = (count, len(IOU_THRESHOLDS))
        if self.matched.shape != flags or self.ignored.shape != flags:
            raise ValueError(f'MatchTable: matched and ignored must be {flags}')
        if self.category.shape != (count,) or self.score.shape != (count,):
            raise ValueError(f'MatchTable: category and score must be ({count},)')

    @cached_property
    def _by_category(self) -> tuple[Array, Array]:
        """Rows by category, then by falling score; and the category of each."""
        rows = np.lexsort((-self.score, self.category))  # stable
        return rows, self.category[rows]

    def of_category(self, category: int) -> tuple[Array, Array, Array]:
        """Its (image, matched, ignored), by falling score."""
        rows, of = self._by_category
        rows = rows[np.searchsorted(of, category) : np.searchsorted(of, category, side='right')]
        return self.image[rows], self.matched[rows], self.ignored[rows]


class DetectionUnits(UnitScores):
    """Match tables per IoU type ('box', 'mask', or one of them) and num_gt (U, K).

    Two detections of one image, category and score count run after run when the image is repeated
    (a weight above 1), where a repeated image would let them alternate; for any other detections
    the two are the same.
    """

    kind = 'detection'

    def __init__(
        self, names: Sequence[str], num_gt: Array, tables: Mapping[str, MatchTable]
    ) -> None:
        super().__init__(names)
        self.num_gt = np.asarray(num_gt, np.int32)
        self.tables = {iou_type: tables[iou_type] for iou_type in IOU_TYPES if iou_type in tables}
        if not self.tables or len(self.tables) != len(tables):
            raise ValueError(f'DetectionUnits: tables for {list(tables)}, known: {IOU_TYPES}')
        if self.num_gt.ndim != 2 or len(self.num_gt) != len(self):
            raise ValueError(f'DetectionUnits: num_gt is {self.num_gt.shape}, U is {len(self)}')
        self.metrics = tuple(
            f'{iou_type}_{metric}' for iou_type in self.tables for metric in ('mAP', 'mAP_50')
        )

    def score(self, weights: Array) -> dict[str, Array]:
        weights = check_weights(weights, len(self)).astype(np.int32)
        scores: dict[str, Array] = {name: np.empty(len(weights)) for name in self.metrics}
        for iou_type, table in self.tables.items():
            for start in range(0, len(weights), BLOCK):
                block = slice(start, start + BLOCK)
                precision = precisions(table, self.num_gt, weights[block])
                scores[f'{iou_type}_mAP'][block] = 100 * over_categories(precision.mean(1))
                scores[f'{iou_type}_mAP_50'][block] = 100 * over_categories(precision[:, 0])
        return scores

    def arrays(self) -> dict[str, Array]:
        content = {'num_gt': self.num_gt}
        for iou_type, table in self.tables.items():
            content |= {f'{iou_type}_{f.name}': getattr(table, f.name) for f in fields(table)}
        return content

    @classmethod
    def from_arrays(cls, names: Sequence[str], arrays: Mapping[str, Array]) -> 'DetectionUnits':
        tables = {
            iou_type: MatchTable(**{f.name: arrays[f'{iou_type}_{f.name}'] for f in _COLUMNS})
            for iou_type in IOU_TYPES
            if f'{iou_type}_image' in arrays
        }
        return cls(names, arrays['num_gt'], tables)


_COLUMNS = fields(MatchTable)


def precisions(table: MatchTable, num_gt: Array, weights: Array) -> Array:
    """AP (K, T, R) in [0, 1] of every category and threshold; weights (R, U), num_gt (U, K)."""
    columns = np.ascontiguousarray(weights.T)  # (U, R)
    return np.stack(
        [weighted_ap(*table.of_category(k), num_gt[:, k], columns) for k in range(num_gt.shape[1])]
    )


def over_categories(precision: Array) -> Array:
    """(K, R) -> (R,): mean over the categories with ground truth, nan where there is none."""
    present = ~np.isnan(precision)
    count = present.sum(0)
    empty = np.full(precision.shape[1], np.nan)
    total = np.where(present, precision, 0).sum(0)
    return np.divide(total, count, out=empty, where=count > 0)
