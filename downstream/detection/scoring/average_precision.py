"""COCO's 101-point average precision of one category under many weightings of the images at once.

    AP = 1/101 sum_i  max { precision(p) : recall(p) >= i/100 }

A detection of an image with weight w stands for w detections in a row. Precision is then only
needed where a true positive's run ends: within it precision rises, after it false positives only
lower it. So the detections are sorted once, the weights of everything up to each true positive are
summed by one sparse product, and the 101 levels become a count: how many of them each true positive
is the first to reach.
"""

import numpy as np
from scipy import sparse

from downstream.results.units import Array

# as pycocotools writes them: comparing recalls with i / 100 instead moves single levels
RECALL_LEVELS = np.linspace(0.0, 1.00, 101)


def plain_ap(matched: Array, ignored: Array, positives: int) -> Array:
    """AP (T,) in [0, 1] of one category on the data as they are: `weighted_ap` of ones, sooner.

    Args:
        matched, ignored: (N, T) bool as `weighted_ap` takes them, by falling score.
        positives: ground truths of the category; with none AP is nan.
    """
    if not positives:
        return np.full(matched.shape[1], np.nan)
    hit, counted = matched & ~ignored, np.cumsum(~ignored, axis=0)
    scores = np.zeros(hit.shape[1])
    for t in range(len(scores)):
        ends = np.flatnonzero(hit[:, t])
        true = np.arange(1, len(ends) + 1)
        precision = true / (counted[ends, t] + np.spacing(1))  # pycocotools' guard against 0 / 0
        best = np.maximum.accumulate(precision[::-1])[::-1]
        first = np.searchsorted(true / positives, RECALL_LEVELS)  # to reach each level
        scores[t] = best[first[first < len(ends)]].sum() / len(RECALL_LEVELS)
    return scores


def weighted_ap(
    image: Array, matched: Array, ignored: Array, num_gt: Array, weights: Array
) -> Array:
    """AP (T, R) in [0, 1] of one category; nan where the weights leave it no ground truth.

    Args:
        image: (N,) the unit each detection belongs to; detections by falling score.
        matched: (N, T) bool, matched to a ground truth at IoU threshold t.
        ignored: (N, T) bool, counted neither right nor wrong (matched to a crowd).
        num_gt: (U,) ground truths of this category per unit, crowds left out.
        weights: (U, R) int, one column per weighting.
    """
    hit = matched & ~ignored
    ends = np.flatnonzero(hit.any(1))  # detections that are right at some threshold
    positives = num_gt.astype(np.int64) @ weights  # (R,)
    precision_scores = np.zeros((hit.shape[1], weights.shape[1]))
    if len(ends):
        counted = _running_totals(image, ends, weights, np.ones(len(image), bool))
        levels = _LevelsReached(positives)
        for t in range(hit.shape[1]):
            rows = np.flatnonzero(hit[ends, t])
            if not len(rows):
                continue
            total = counted[rows]
            if ignored[:, t].any():
                total = total - _running_totals(image, ends, weights, ignored[:, t])[rows]
            true = np.cumsum(weights[image[ends[rows]]], axis=0)  # (P, R)
            precision = true / (total + np.spacing(1))  # pycocotools' guard against 0 / 0
            best = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
            precision_scores[t] = np.einsum('pr,pr->r', best, levels.gained(true))
    precision_scores /= len(RECALL_LEVELS)
    precision_scores[:, positives == 0] = np.nan
    return precision_scores


def _running_totals(image: Array, ends: Array, weights: Array, counted: Array) -> Array:
    """(P, R): weight of the counted detections up to and including detection ends[p]."""
    chosen = np.flatnonzero(counted[: ends[-1] + 1])
    segment = np.searchsorted(ends, chosen)  # the true positive whose total this one enters first
    per_segment = sparse.csr_matrix(
        (np.ones(len(chosen), weights.dtype), (segment, image[chosen])),
        shape=(len(ends), len(weights)),
    )
    return np.cumsum(per_segment @ weights, axis=0)


class _LevelsReached:
    """How many recall levels `true positives / positives` has reached, by table.

    The table holds the very divisions and comparisons pycocotools makes, once per integer instead
    of once per element.
    """

    def __init__(self, positives: Array) -> None:
        totals, self.row = np.unique(positives, return_inverse=True)
        recall = np.arange(totals[-1] + 1) / np.maximum(totals, 1)[:, None]
        reached = np.searchsorted(RECALL_LEVELS, recall.ravel(), side='right')
        self.width = recall.shape[1]
        self.table = reached.astype(np.int8)  # at most 101

    def gained(self, true: Array) -> Array:
        """true (P, R) running true positives -> (P, R) levels first reached at each of them."""
        reached = self.table[true + (self.row * self.width)[None]]
        return np.diff(reached, axis=0, prepend=np.int8(0))
