"""COCO's table of figures from the matches: AP and AR, overall, by overlap and by area."""

import numpy as np

from downstream.detection.scoring.average_precision import plain_ap
from downstream.detection.scoring.matching import AREAS, Matches
from downstream.detection.units import MatchTable, over_categories
from downstream.results.units import Array


def summary(matches: Matches) -> dict[str, float]:
    """In percent, for 'box' and 'mask': mAP, at IoU 0.5 and 0.75, by area; AR of 100 detections.

    Only what has ground truth.
    """
    metrics: dict[str, float] = {}
    for kind in matches.decisions:
        for area in AREAS:
            table, objects = matches.table(kind, area), matches.num_gt[area].sum(0)
            precision = np.stack(
                [plain_ap(*table.of_category(k)[1:], count) for k, count in enumerate(objects)]
            )  # (K, T)
            values = {f'mAP_{area}': precision.mean(1)}
            if area == 'all':
                values = {'mAP': precision.mean(1), 'mAP_50': precision[:, 0]}
                values |= {'mAP_75': precision[:, 5], 'AR': _recall(table, objects)}
            for name, value in values.items():
                metrics[f'{kind}_{name}'] = 100 * float(over_categories(value[:, None])[0])
    return {key: value for key, value in metrics.items() if not np.isnan(value)}


def _recall(table: MatchTable, objects: Array) -> Array:
    """(K,): share of each category's objects that are found, mean over thresholds; nan for none."""
    right = (table.matched & ~table.ignored).sum(1)  # thresholds at which a detection is right
    found = np.bincount(table.category, right, len(objects)) / table.matched.shape[1]
    recall = np.full(len(objects), np.nan)
    return np.divide(found, objects, out=recall, where=objects > 0)
