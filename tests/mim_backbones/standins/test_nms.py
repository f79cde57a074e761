import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mim_backbones.standins import nms as module
from mim_backbones.standins.nms import nms

torch.set_num_threads(1)


def iou(a: list[float], b: list[float], offset: int) -> float:
    wide = max(min(a[2], b[2]) - max(a[0], b[0]) + offset, 0)
    tall = max(min(a[3], b[3]) - max(a[1], b[1]) + offset, 0)
    areas = [(x2 - x1 + offset) * (y2 - y1 + offset) for x1, y1, x2, y2 in (a, b)]
    union = sum(areas) - wide * tall
    return wide * tall / union if union else 0.0


def reference(boxes, scores, threshold, offset) -> list[int]:
    kept: list[int] = []
    for i in sorted(range(len(boxes)), key=lambda i: -scores[i]):  # stable: ties in input order
        if all(iou(boxes[k], boxes[i], offset) <= threshold for k in kept):
            kept.append(i)
    return kept


# Whole numbers: equal scores, touching boxes and an IoU of exactly 1/2 all occur.
coordinate = st.integers(0, 12)
box = st.tuples(coordinate, coordinate, coordinate, coordinate).map(
    lambda c: [min(c[0], c[2]), min(c[1], c[3]), max(c[0], c[2]), max(c[1], c[3])]
)


@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(st.tuples(box, st.integers(0, 5)), max_size=25),
    threshold=st.sampled_from([0.0, 0.25, 0.5, 0.7]),
    offset=st.sampled_from([0, 1]),
    spread=st.sampled_from([1, 3]),
    block=st.sampled_from([1, 4, 1024]),
)
def test_equals_the_loop(rows, threshold, offset, spread, block):
    boxes = [[c * spread for c in box_] for box_, _ in rows]  # spread: gaps, so separate groups
    scores = [float(score) for _, score in rows]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, 'BLOCK', block)
        kept = nms(torch.tensor(boxes).view(-1, 4), torch.tensor(scores), threshold, offset)
    assert kept.tolist() == reference(boxes, scores, threshold, offset)


def test_by_hand():
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 5], [20, 0, 30, 10], [0, 0, 10, 10]])
    scores = torch.tensor([0.5, 0.9, 0.1, 0.5])
    # IoU of box 1 with 0 and 3 is 50 / 100: equal to the threshold stays, above it goes. Boxes 0
    # and 3 are the same box with the same score: the first wins.
    assert nms(boxes, scores, 0.5).tolist() == [1, 0, 2]
    assert nms(boxes, scores, 0.49).tolist() == [1, 2]


def test_offset_counts_the_last_pixel():
    boxes = torch.tensor([[0.0, 0, 1, 1], [1, 0, 2, 1]])
    scores = torch.tensor([1.0, 0.5])
    # offset 0: the boxes only touch. offset 1: 2 x 2 pixels each, 2 shared, IoU 2 / 6.
    assert nms(boxes, scores, 0.3, 0).tolist() == [0, 1]
    assert nms(boxes, scores, 0.3, 1).tolist() == [0]


def test_chain_of_suppressions():
    # Each box overlaps the next by 3/4 (IoU 0.6): kept, dropped, kept, dropped, ...
    left = torch.arange(200.0)
    boxes = torch.stack((left, left * 0, left + 4, left * 0 + 1), 1)
    kept = nms(boxes, -left, 0.5)
    assert kept.tolist() == list(range(0, 200, 2))


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float64])
def test_dtypes_and_no_boxes(dtype):
    boxes = torch.tensor([[0, 0, 10, 10], [0, 0, 10, 8]], dtype=dtype)
    assert nms(boxes, boxes[:, 3], 0.5).tolist() == [0]
    assert nms(boxes[:0], boxes[:0, 3], 0.5).shape == (0,)
