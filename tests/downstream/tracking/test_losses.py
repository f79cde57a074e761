import math

import pytest
import torch

from downstream.tracking.losses import (
    focal_loss,
    gaussian_heatmap,
    tracking_losses,
)


def test_heatmap_by_hand():
    # A box of 4 x 4 cells: r = sqrt(0.49 * 64 + 0.84 * 16) - 5.6 = 1.0935 -> 1 cell, sigma 0.5.
    heat = gaussian_heatmap(torch.tensor([[0.25, 0.125, 0.5, 0.5]]), 8)[0]
    assert heat[3, 4] == 1
    assert heat[3, 5] == pytest.approx(math.exp(-2))
    assert heat[2, 5] == pytest.approx(math.exp(-4))
    assert heat[3, 6] == 0
    assert (heat > 0).sum() == 9


def test_focal_by_hand():
    # one positive at 0.5: 0.25 ln 2; one negative with y = 0.5 at 0.5: 0.0625 * 0.25 ln 2
    score = torch.tensor([[[0.5, 0.5]]])
    heat = torch.tensor([[[1.0, 0.5]]])
    assert focal_loss(score, heat) == pytest.approx(0.265625 * math.log(2))


def test_losses_of_a_perfect_box_and_of_a_shifted_one():
    truth = torch.tensor([[0.25, 0.25, 0.5, 0.5]])
    score = torch.full((1, 1, 8, 8), 0.5)
    perfect = tracking_losses(score, torch.tensor([[0.5, 0.5, 0.5, 0.5]]), truth)
    assert perfect['loss_giou'] == pytest.approx(0, abs=1e-6)
    assert perfect['loss_l1'] == 0
    # shifted by its half width: IoU 1/3, the enclosing box is filled: GIoU 1/3, |dx| 0.25 in 2 of 4
    shifted = tracking_losses(score, torch.tensor([[0.75, 0.5, 0.5, 0.5]]), truth)
    assert shifted['loss_giou'] == pytest.approx(2 * 2 / 3)
    assert shifted['loss_l1'] == pytest.approx(5 * 0.125)
    assert shifted['iou'] == pytest.approx(1 / 3)
