import math

import pytest
import torch

from downstream.tracking.losses import (
    focal_loss,
    gaussian_heatmap,
    gaussian_radius,
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


# ------------------------------------------------------ OSTrack's own (golden/README.md, Tracking)


@pytest.fixture
def goldens(golden):
    return golden('tracking_losses')


def test_golden_heatmaps_and_radius(goldens):
    for golden in goldens:
        for key in golden:
            if key.startswith('heatmap_'):
                heat = gaussian_heatmap(golden['gt_xywh_norm'], int(key.removeprefix('heatmap_')))
                torch.testing.assert_close(heat, golden[key], rtol=1e-6, atol=1e-7)
        radius = gaussian_radius(golden['radius_wh'])
        torch.testing.assert_close(radius, golden['radius_float'], rtol=1e-5, atol=1e-6)
        assert torch.equal(radius.floor().int(), golden['radius_int'])


def test_golden_losses_and_gradients(goldens):
    for golden in goldens:
        score = golden['score_map'].requires_grad_()
        predicted = golden['pred_cxcywh_norm'].requires_grad_()
        weights = golden['loss_weights']
        losses = tracking_losses(
            score,
            predicted[:, 0],
            golden['gt_xywh_norm'],
            focal_weight=weights['focal'],
            giou_weight=weights['giou'],
            l1_weight=weights['l1'],
        )
        total = losses['loss_focal'] + losses['loss_giou'] + losses['loss_l1']
        for ours, theirs in (
            (total, golden['total']),
            (losses['loss_focal'] / weights['focal'], golden['focal_loss']),
            (losses['loss_giou'] / weights['giou'], golden['giou_loss']),
            (losses['loss_l1'] / weights['l1'], golden['l1_loss']),
            (losses['iou'], golden['mean_iou']),
        ):
            torch.testing.assert_close(ours.double(), theirs.double(), rtol=1e-5, atol=1e-7)
        total.backward()
        torch.testing.assert_close(score.grad, golden['grad_score_map'], rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(predicted.grad, golden['grad_pred'], rtol=1e-4, atol=1e-6)


def test_golden_focal_per_sample(goldens):
    for golden in goldens:
        heat = golden['heatmap_16']
        counts = golden['per_sample_num_pos']
        for i, expected in enumerate(golden['per_sample_focal']):
            loss = focal_loss(golden['score_map'].detach()[i], heat[i : i + 1])
            torch.testing.assert_close(loss, expected, rtol=1e-5, atol=0)
            assert int((heat[i] == 1).sum()) == counts[i]
        case = golden['no_positive']
        heat = gaussian_heatmap(case['gt'], 16)
        torch.testing.assert_close(heat, case['heatmap'], rtol=1e-6, atol=1e-7)
        loss = focal_loss(case['score_map'][:, 0], heat)
        torch.testing.assert_close(loss, case['focal'], rtol=1e-5, atol=0)
