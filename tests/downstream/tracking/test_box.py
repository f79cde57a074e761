import pytest
import torch

from downstream.tracking.box import cxcywh_to_xywh, cxcywh_to_xyxy, iou_and_giou, xywh_to_xyxy


def test_conversions():
    assert xywh_to_xyxy(torch.tensor([1.0, 2, 3, 4])).tolist() == [1, 2, 4, 6]
    assert cxcywh_to_xyxy(torch.tensor([1.0, 2, 4, 2])).tolist() == [-1, 1, 3, 3]
    assert cxcywh_to_xywh(torch.tensor([[1.0, 2, 4, 2]])).tolist() == [[-1, 1, 4, 2]]


@pytest.mark.parametrize(
    ('other', 'iou', 'giou'),
    [
        ([0.0, 0, 2, 2], 1, 1),
        ([1.0, 0, 3, 2], 1 / 3, 1 / 3),  # shared 2 of 6; the enclosing box is filled
        ([1.0, 1, 3, 3], 1 / 7, 1 / 7 - 2 / 9),  # shared 1 of 7; 2 of 9 enclosed cells are empty
        ([4.0, 0, 6, 2], 0, -4 / 12),
        ([1.0, 1, 1, 1], 0, 0),
    ],
)
def test_overlap_by_hand(other, iou, giou):
    found = iou_and_giou(torch.tensor([0.0, 0, 2, 2]), torch.tensor(other))
    assert [float(value) for value in found] == pytest.approx([iou, giou])


def test_points_have_no_overlap():
    point = torch.zeros(4)
    assert [float(value) for value in iou_and_giou(point, point)] == [0, 0]
