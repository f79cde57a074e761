import math

import numpy as np
import pytest
import torch

from mim_backbones.standins.soft_nms import METHODS, soft_nms

torch.set_num_threads(1)

# Box 1 covers the upper half of box 0 (IoU 1/2), box 2 lies apart.
BOXES = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 5], [20, 0, 30, 10]])
SCORES = torch.tensor([0.9, 0.8, 0.6])


@pytest.mark.parametrize(
    ('method', 'order', 'scores'),
    [
        ('naive', [0, 2], [0.9, 0.6]),
        ('linear', [0, 2, 1], [0.9, 0.6, 0.8 * 0.5]),
        ('gaussian', [0, 2, 1], [0.9, 0.6, 0.8 * math.exp(-0.25 / 0.5)]),
    ],
)
def test_by_hand(method, order, scores):
    rows, picked = soft_nms(BOXES, SCORES, 0.3, method=method)
    assert picked.tolist() == order
    torch.testing.assert_close(rows[:, 4], torch.tensor(scores))
    torch.testing.assert_close(rows[:, :4], BOXES[order])


def reference(boxes, scores, threshold, sigma, min_score, method, offset):
    scores, left, picked = list(scores), list(range(len(boxes))), []
    while left:
        best = max(left, key=lambda i: scores[i])
        picked.append((best, scores[best]))
        left.remove(best)
        for i in left:
            a, b = boxes[best], boxes[i]
            wide = max(min(a[2], b[2]) - max(a[0], b[0]) + offset, 0)
            tall = max(min(a[3], b[3]) - max(a[1], b[1]) + offset, 0)
            areas = [(x[2] - x[0] + offset) * (x[3] - x[1] + offset) for x in (a, b)]
            iou = wide * tall / (sum(areas) - wide * tall)
            if method == 'gaussian':
                scores[i] *= math.exp(-(iou**2) / sigma)
            elif iou >= threshold:
                scores[i] *= 1 - iou if method == 'linear' else 0
        left = [i for i in left if scores[i] >= min_score]
    return picked


@pytest.mark.parametrize('method', METHODS)
@pytest.mark.parametrize('offset', [0, 1])
def test_equals_the_loop(method, offset):
    rng = np.random.default_rng(offset)
    corner, size = rng.uniform(0, 50, (60, 2)), rng.uniform(2, 30, (60, 2))
    boxes, scores = np.concatenate((corner, corner + size), 1), rng.random(60)
    expected = reference(boxes, scores, 0.3, 0.5, 0.05, method, offset)
    rows, picked = soft_nms(
        torch.from_numpy(boxes), torch.from_numpy(scores), 0.3, 0.5, 0.05, method, offset
    )
    assert picked.tolist() == [index for index, _ in expected]
    np.testing.assert_allclose(rows[:, 4], [score for _, score in expected])


def test_edges():
    rows, picked = soft_nms(BOXES[:0], SCORES[:0], 0.3)
    assert (rows.shape, picked.shape) == ((0, 5), (0,))
    _, picked = soft_nms(BOXES, SCORES * 1e-6, 0.3)  # all below min_score: the best one stays
    assert picked.tolist() == [0]
    points = torch.zeros(2, 4)  # empty boxes: IoU 0 / 0 decays nothing
    assert soft_nms(points, torch.tensor([0.5, 0.4]), 0.3)[0][:, 4].tolist() == pytest.approx(
        [0.5, 0.4]
    )
