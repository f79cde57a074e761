"""Accuracies and calibration as an mmengine metric, of one classifier or of the best of several."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from downstream.classification.ranks import Ranks
from downstream.classification.units import TOP, ClassificationUnits
from downstream.evaluation.gathered_metric import GatheredMetric
from downstream.registry import METRICS
from mim_backbones.errors import UserError


@METRICS.register_module()
class TopK(GatheredMetric):
    """In percent (units.py). After `evaluate`, `units` holds what they are made of.

    Of several classifiers the one counts whose top-1 is best on the pictures that are held out of
    the training split, the first of equals; without such pictures it is the first.

    Attributes:
        best: number of the classifier that counts.
        grid: (K, 2) top-1 in percent of every classifier, held-out and test; NaN without pictures.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units: ClassificationUnits | None = None
        self.best = 0
        self.grid = np.zeros((0, 2))

    def process(self, data_batch: Any, data_samples: Sequence[Ranks]) -> None:
        self.results += [(one.name, one) for one in data_samples]

    def compute_metrics(self, results: list[tuple[str, Ranks]]) -> dict[str, float]:
        found = [one for _, one in results]
        held = np.array([one.held for one in found])
        ranks = np.stack([one.ranks for one in found])
        if held.all():
            raise UserError('classification: the test loader has no picture of the val split')
        right = ranks < TOP['top1']
        test = 100 * right[~held].mean(0)
        chosen_by = 100 * right[held].mean(0) if held.any() else np.full_like(test, np.nan)
        self.best = int(chosen_by.argmax()) if held.any() else 0
        self.grid = np.stack([chosen_by, test], 1)
        tested = [one for one in found if not one.held]
        sure = [one.confidence[self.best] for one in tested if one.confidence is not None]
        self.units = ClassificationUnits(
            [one.name for one in tested],
            ranks[~held, self.best],
            np.array([one.label for one in tested]),
            np.array(sure) if sure else None,
        )
        return self.units.observed()
